/** Gradients against differences of the loss, in float64. */
import { assert } from "@std/assert";
import { host, item, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { valueAndGrad } from "../../src/transforms/grad.ts";

/**
 * Throws unless the gradient of `loss` at `x` is its slope, at every `every`-th element. Central differences in float64
 * have an error of the order h² + 1e-16/h, about 1e-10 for h = 1e-5.
 */
export function assertSlopes(loss: (x: Tensor) => Tensor, x: Tensor, message: string, every = 1): void {
  const { data, shape } = host(x);
  const values = Float64Array.from(data);
  const [, gradient] = valueAndGrad(loss)(tensor(values, { shape }));
  const slopes = host(gradient).data;
  for (let place = 0; place < values.length; place += every) {
    const at = (change: number) => {
      const moved = values.slice();
      moved[place] += change;
      return item(loss(tensor(moved, { shape })));
    };
    const expected = (at(1e-5) - at(-1e-5)) / 2e-5;
    assert(
      Math.abs(slopes[place] - expected) <= 1e-8 * Math.max(1, Math.abs(expected)),
      `${message}: the gradient at ${place} is ${slopes[place]}, the slope ${expected}`,
    );
  }
}
