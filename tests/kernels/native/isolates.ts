/** Six workers that use the device native at once; prints what each of them found wrong. */
const posted = await Promise.all(Array.from({ length: 6 }, () =>
  new Promise<string>((resolve, reject) => {
    const worker = new Worker(new URL("./isolate.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => {
      resolve(data);
      worker.terminate();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  })));
console.log(JSON.stringify(posted));
