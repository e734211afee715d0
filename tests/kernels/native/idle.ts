/** A process whose native threads have nothing to do for half a second: prints how long it used a processor, in milliseconds. */
import process from "node:process";
import { add, compile, matmul, type Tensor, tensor } from "../../../mod.ts";

const device = { name: "native", threads: 4, shareFrom: 0 } as const;
using f = compile((a: Tensor, b: Tensor) => add(matmul(a, b), a), { device });
const x = tensor([[1, 2], [3, 4]]);
await f(x, x);
await new Promise((done) => setTimeout(done, 100));
const before = process.cpuUsage();
await new Promise((done) => setTimeout(done, 500));
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1000);
