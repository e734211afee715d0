/**
 * A Program on the device that the first argument names; prints its device, its results and whether numbers may still be
 * small, or the error's message.
 */
import { add, compile, matmul, type Tensor, tensor } from "@cellfold/cellfold";
import type { Device } from "../../../kernels/mod.ts";

const device = Deno.args[0] as Device; // what is no device is refused
try {
  using f = compile((a: Tensor, b: Tensor) => add(matmul(a, b), a), { device });
  const result = await f(tensor([[1, 2], [3, 4]]), tensor([[1, 0], [0, 1]]));
  console.log(JSON.stringify({
    device: f.device,
    result: result.kind === "host" ? [...result.data] : "",
    hasSmallNumbers: Float64Array.of(Number.MIN_VALUE)[0] * 3 > 0,
  }));
} catch (error) {
  console.log(
    JSON.stringify({ error: error instanceof Error ? `${error.name}: ${error.message}` : `${error}` }),
  );
}
