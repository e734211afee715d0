/** Gradients whose squares no float32 holds: they are shortened to the right length, and stepped by as others are. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { key as randomKey, normal } from "../../src/operations/random.ts";
import { mul } from "../../src/operations/elementwise.ts";
import { zerosLike } from "../../src/operations/creation.ts";
import { host, item, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { adam, adamw, type Optimizer, rmsprop, sgd } from "../../src/training/optimizers.ts";
import { compile } from "../../src/transforms/compile.ts";

const devices = [
  "reference",
  "wasm",
  ...(await navigator.gpu?.requestAdapter() ? ["webgpu"] as const : []),
] as const;

/** What one step of gradient descent takes off parameters that are 0, on a device. */
async function taken(optimizer: Optimizer, gradients: readonly Tensor[], device: typeof devices[number]) {
  const update = compile((...gradients: Tensor[]) => {
    const params = gradients.map(zerosLike);
    return optimizer.update(gradients, optimizer.init(params), params)[0];
  }, { device });
  const after = await update(...gradients);
  update[Symbol.dispose]();
  return after.map((x) => Array.from(host(x).data, (value) => -value));
}

function assertAllClose(actual: readonly number[], expected: readonly number[], message: string) {
  actual.forEach((value, index) => {
    const tolerance = 1e-6 * Math.abs(expected[index]);
    assert(Math.abs(value - expected[index]) <= tolerance, `${message}: ${actual} is not ${expected}`);
  });
}

for (const device of devices) {
  const options = { sanitizeResources: false, sanitizeOps: false }; // a device and workers outlive a test
  Deno.test({
    ...options,
    name: `on ${device}, a gradient of any size is shortened to the norm asked for`,
    async fn() {
      for (const scale of [1e-37, 1e-25, 1e-20, 1e-5, 1, 1e10, 1e19, 2e19, 4e20, 1e38]) {
        for (const norm of [1e-30, 1, 5]) {
          const [w] = await taken(
            sgd({ learningRate: 1, clipnorm: norm }),
            [tensor([3, -4, 0, 1e-9].map((x) => x / 2 * scale))],
            device,
          );
          const length = 2.5 * scale;
          const factor = length > norm ? norm / length : 1;
          assertAllClose(
            w.slice(0, 3),
            [1.5 * scale * factor, -2 * scale * factor, 0],
            `${scale} to ${norm}`,
          );
        }
      }
    },
  });

  Deno.test({
    ...options,
    name: `on ${device}, all gradients together are shortened by their common norm`,
    async fn() {
      const clip = sgd({ learningRate: 1, globalClipnorm: 2 });
      for (
        const [a, b] of [[3e30, 4e30], [3e38, 3e38], [3, 4], [3e25, 1e-25], [0, 7e22], [0, 0], [0.3, 0.4]]
      ) {
        const [first, second] = await taken(clip, [tensor([a]), tensor([[0, b]])], device);
        const length = Math.hypot(a, b);
        const factor = length > 2 ? 2 / length : 1;
        assertAllClose(first, [a * factor], `${a}, ${b}`);
        assertAllClose(second.slice(1), [b * factor < 1e-38 ? second[1] : b * factor], `${a}, ${b}`);
      }
    },
  });

  Deno.test({
    ...options,
    name: `on ${device}, gradients that are NaN or infinite are not shortened to a number`,
    async fn() {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const [one, other] = await taken(
          sgd({ learningRate: 1, clipnorm: 1 }),
          [tensor([bad, 1]), tensor([3, 4])],
          device,
        );
        assert(one.every(Number.isNaN), `${bad}: ${one}`);
        assertAllClose(other, [0.6, 0.8], "another parameter");
        const together = await taken(
          sgd({ learningRate: 1, globalClipnorm: 1 }),
          [tensor([bad, 1]), tensor([3, 4])],
          device,
        );
        assert(together.flat().every(Number.isNaN), `${bad}: ${together}`);
      }
      const [clipped] = await taken(
        sgd({ learningRate: 1, clipvalue: 2 }),
        [tensor([Infinity, -Infinity, 1, NaN])],
        device,
      );
      assertEquals(clipped, [2, -2, 1, NaN]);
    },
  });
}

Deno.test("adam, adamw and rmsprop step by a gradient of any size as by one of ordinary size", () => {
  const optimizers: Readonly<Record<string, () => Optimizer>> = {
    adam: () => adam({ learningRate: 0.1, epsilon: 0 }),
    amsgrad: () => adam({ learningRate: 0.1, epsilon: 0, amsgrad: true }),
    adamw: () => adamw({ learningRate: 0.1, epsilon: 0 }),
    rmsprop: () => rmsprop({ learningRate: 0.1, epsilon: 0 }),
    centered: () => rmsprop({ learningRate: 0.1, epsilon: 0, centered: true, momentum: 0.5 }),
  };
  for (const [name, make] of Object.entries(optimizers)) {
    const run = (gradients: readonly number[]) => {
      const optimizer = make();
      let params: { readonly w: Tensor } = { w: tensor(1) };
      let state = optimizer.init(params);
      for (const gradient of gradients) {
        [params, state] = optimizer.update({ w: tensor(gradient) }, state, params);
      }
      return item(params.w);
    };
    for (const large of [5e19, 1e25, 3e38]) {
      // Beside it the gradients before are nothing; 1e9 is as large as that, and its square is a float32.
      assertAlmostEquals(run([1e-3, large]), run([1e-3, 1e9]), 1e-5);
      assertAlmostEquals(run([large]), run([1]), 1e-5);
    }
    for (const bad of [NaN, Infinity, -Infinity]) assert(Number.isNaN(run([1, bad])), `${name} ${bad}`);
  }
});

Deno.test("a clipped norm is the norm asked for, whatever the gradients", () => {
  for (let seed = 0; seed < 20; seed++) {
    const gradient = mul(normal(randomKey(seed), [50]), 10 ** (seed * 3.7 - 36));
    const optimizer = sgd({ learningRate: 1, clipnorm: 1e-37 });
    const params = { w: tensor(new Float32Array(50)) };
    const [after] = optimizer.update({ w: gradient }, optimizer.init(params), params);
    assertAlmostEquals(Math.hypot(...host(after.w).data) / 1e-37, 1, 1e-3); // 1e-37 has few digits below it
  }
});
