/** A worker that fills memory of the device native, on two threads, and then waits to be terminated. */
import { add, host, ones, type Tensor, toHost, trace } from "../../../mod.ts";
import { createNative } from "../../../kernels/native/mod.ts";

const backend = createNative({ threads: 2, shareFrom: 0 }, "2 threads");
const x = host(ones([2 ** 24]));
const { program } = trace((a: Tensor) => add(a, 1), x);
const executable = await backend.compile(program, { donate: [false], keep: [true] });
const [y] = await executable.run([x]);
const { data } = await toHost(y);

const { self } = globalThis as unknown as { readonly self: { postMessage(message: unknown): void } };
self.postMessage(data[data.length - 1]);
setInterval(() => y, 1000);
