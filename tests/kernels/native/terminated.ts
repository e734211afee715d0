/** Uses the device native in workers, one after the other, and terminates them; prints what they leave, as JSON. */
const TURNS = 4;

/** What Linux says of this process: threads, and memory and addresses in MiB. */
function status(): { readonly threads: number; readonly memory: number; readonly addresses: number } {
  const text = Deno.readTextFileSync("/proc/self/status");
  const number = (name: string) => Number(text.match(new RegExp(`^${name}:\\s+(\\d+)`, "m"))?.[1]);
  return { threads: number("Threads"), memory: number("VmRSS") / 1024, addresses: number("VmSize") / 1024 };
}

/** Runs a worker until it has computed, and terminates it; what it computed. */
function turn(): Promise<number> {
  const worker = new Worker(new URL("./terminated_worker.ts", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    worker.onerror = ({ message }) => reject(new Error(message));
  });
}

const before = status();

/** Waits until a worker has left neither threads nor the addresses of a device, for at most ten seconds. */
async function settled(): Promise<void> {
  for (let wait = 0; wait < 200; wait++) {
    const { threads, addresses } = status();
    if (threads <= before.threads && addresses < before.addresses + 10_000) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const results: number[] = [];
for (let round = 0; round < TURNS; round++) {
  results.push(await turn());
  await settled();
}
console.log(JSON.stringify({ results, before, after: status() }));
Deno.exit();
