/** A worker that opens the device native and loads, runs and unloads Programs again and again; posts what went wrong. */
import { div, host, hostTensor, matmul, trace } from "../../../mod.ts";
import { createNative } from "../../../kernels/native/mod.ts";

/** Devices and turns of each worker. */
const DEVICES = 3, TURNS = 80;

/** Programs that all workers load, so that they share files. */
const SIZES = [3, 5, 8, 13];

async function run(): Promise<string> {
  for (let device = 0; device < DEVICES; device++) {
    const backend = createNative({ threads: 2, shareFrom: 0 }, "2 threads");
    const held: { [Symbol.dispose](): void }[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      const size = SIZES[turn % SIZES.length],
        x = hostTensor(new Float32Array(size * size).fill(1), [size, size]);
      const { program } = trace((a) => div(matmul(a, a), size), x);
      const executable = await backend.compile(program, { donate: [false], keep: [false] });
      for (let call = 0; call < 3; call++) {
        const [y] = await executable.run([x]);
        const { data } = await host(y);
        if (data.length !== size * size || data.some((value) => Math.abs(Number(value) - 1) > 1e-6)) {
          return `turn ${turn} of device ${device} gave ${data}`;
        }
      }
      held.push(executable);
      if (held.length > 40) held.shift()?.[Symbol.dispose]();
    }
    held.forEach((executable) => executable[Symbol.dispose]());
  }
  return "";
}

const { self } = globalThis as unknown as { readonly self: { postMessage(message: string): void } };
self.postMessage(await run().catch((error) => `${error instanceof Error ? error.stack : error}`));
