/** Compiles Programs for native, and clears the cache in the folder that the first argument names after each. */
import { add, compile, mul, type Tensor, tensor } from "@cellfold/cellfold";

const [cache] = Deno.args;
const results: number[] = [];
for (const factor of [2, 3, 2]) {
  using f = compile((a: Tensor) => add(mul(a, factor), 1), { device: "native" });
  const result = await f(tensor([factor]));
  if (result.kind === "host") results.push(result.data[0]);
  if (cache !== undefined) await Deno.remove(`${cache}/cellfold`, { recursive: true });
}
if (cache !== undefined) {
  using f = compile((a: Tensor) => mul(a, 7), { device: "native" });
  await f(tensor([1]));
}
console.log(JSON.stringify(results));
