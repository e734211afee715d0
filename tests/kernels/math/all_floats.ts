/**
 * How far a function of `kernels/math` is from the truth, of all 2³² floats: `deno run tests/kernels/math/all_floats.ts
 * exp tanh` prints it, with a product and a sum rounded once and twice.
 */
import { mathFunctions } from "../../../kernels/math/mod.ts";
import { type Measured, measured, worstOf } from "../accuracy.ts";
import { inJavaScript } from "./javascript.ts";

const COUNT = 1 << 20;

for (const name of Deno.args) {
  const fn = Object.entries(mathFunctions).find(([each]) => each === name)?.[1];
  const definition = Object.entries<Measured>(measured).find(([each]) => each === name)?.[1].definition;
  if (!fn || !definition || fn.parameters.length !== 1) {
    throw new RangeError(`Cannot measure ${name}: expected a function of one float of kernels/math`);
  }
  for (const fused of [true, false]) {
    const run = inJavaScript(fn, { fused });
    const x = new Float32Array(COUNT), bits = new Uint32Array(x.buffer), results = new Float32Array(COUNT);
    let worst = { units: 0, at: 0 };
    for (let first = 0; first < 2 ** 32; first += COUNT) {
      for (let i = 0; i < COUNT; i++) bits[i] = first + i;
      run([x], results);
      const { units, at } = worstOf(definition, [x, x], results);
      if (units > worst.units) worst = { units, at: at[0] };
    }
    console.log(
      `${name}, ${fused ? "one rounding" : "two roundings"}: ${worst.units.toFixed(2)} units at ${worst.at}`,
    );
  }
}
