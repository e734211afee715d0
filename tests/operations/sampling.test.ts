/** Draws from logits: their frequencies, what no draw gives, and the same draws on every backend. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  broadcastTo,
  categorical,
  compile,
  key,
  log,
  mul,
  normal,
  type Tensor,
  tensor,
  toNested,
  zeros,
} from "@cellfold/cellfold";
import { sampleLogits, type Sampling } from "../../src/operations/sampling.ts";

const devices = ["reference", "wasm", "webgpu"] as const;

Deno.test("categorical draws each index as often as the softmax of the logits says", () => {
  const probabilities = [0.5, 0.3, 0.15, 0.049, 0.001];
  const count = 40_000;
  const logits = broadcastTo(log(tensor([[...probabilities, 0]])), [count, 6]);
  const drawn = toNested(categorical(key(5), logits)) as number[];
  for (const [index, p] of [...probabilities, 0].entries()) {
    const frequency = drawn.filter((other) => other === index).length / count;
    const deviation = Math.sqrt(p * (1 - p) / count);
    assert(
      Math.abs(frequency - p) <= 5 * deviation,
      `${index} has ${frequency}, expected ${p} ± ${deviation}`,
    );
  }
});

for (const device of devices) {
  const ignore = device === "webgpu" && !navigator.gpu;
  Deno.test({
    name: `categorical draws the same on ${device} as eagerly, and takes special logits as argmax does`,
    ignore,
    fn: async () => {
      using draw = compile((key: Tensor, logits: Tensor) => categorical(key, logits), { device });
      for (const seed of [1, 2, 3]) {
        const logits = mul(normal(key(seed), [20, 700]), 3);
        assertEquals(
          toNested(await draw(key(seed + 9), logits)),
          toNested(categorical(key(seed + 9), logits)),
        );
      }
      const special = tensor([
        [-Infinity, 0, -Infinity],
        [-Infinity, -Infinity, -Infinity],
        [9, NaN, NaN],
        [-3, Infinity, Infinity],
        [-1e30, -2e30, -Infinity],
      ]);
      for (let seed = 0; seed < 50; seed++) {
        assertEquals(toNested(await draw(key(seed), special)), [1, 0, 1, 1, 0]);
      }
      assertEquals(toNested(await draw(key(1), tensor([[-Infinity], [3]]))), [0, 0]);
    },
  });

  Deno.test({
    name: `topK and topP leave the tokens that they should on ${device}`,
    ignore,
    fn: async () => {
      const numbers = [0.4, 0.1, 0.3, 0.2];
      const cases: [logits: number[], sampling: Omit<Sampling, "topP">, topP: number, expected: number[]][] =
        [
          [numbers, {}, 0.69, [0, 2]],
          [numbers, {}, 0.71, [0, 2, 3]],
          [numbers, {}, 0.39, [0]],
          [numbers, {}, 0.41, [0, 2]],
          [numbers, {}, 0.95, [0, 1, 2, 3]],
          [numbers, {}, 2 ** -149, [0]], // the first is always kept
          [[0.25, 0.5, 0.25, 0], {}, 0.6, [0, 1, 2]], // equal ones together
          [[0.25, 0.25, 0.25, 0.25], {}, 0.1, [0, 1, 2, 3]],
          [numbers, { topK: 2 }, 1, [0, 2]],
          [numbers, { topK: 3 }, 0.7, [0, 2]], // of 4/9, 3/9 and 2/9
          [numbers, { topK: 1 }, 1, [0]],
          [[0.25, 0.25, 0.25, 0.25], { topK: 2 }, 1, [0, 1]],
          [[0, 0, 0, 1], { topK: 4 }, 0.9, [3]],
        ];
      for (const [probabilities, { topK }, p, expected] of cases) {
        using draw = compile(
          (logits: Tensor, temperature: Tensor, topP: Tensor) =>
            sampleLogits(key(3), logits, { topK, temperature, topP: p === 1 ? undefined : topP }),
          { device },
        );
        const logits = broadcastTo(log(tensor([probabilities])), [400, 4]);
        const drawn = toNested(await draw(logits, tensor(1), tensor(p))) as number[];
        assertEquals([...new Set(drawn)].sort(), expected, `${probabilities} ${topK} ${p}`);
      }
    },
  });
}

Deno.test("a low temperature draws the largest logit, a high one all alike", () => {
  const logits = broadcastTo(tensor([[1e3, 1.001e3, -Infinity, 990]]), [4000, 4]);
  const drawn = (temperature: number) =>
    toNested(sampleLogits(key(1), logits, { temperature: tensor(temperature) })) as number[];
  assertEquals([...new Set(drawn(1e-30))], [1]);
  assertEquals([...new Set(drawn(1e-3))], [1]);
  const counts = [0, 0, 0, 0];
  for (const token of drawn(1e30)) counts[token]++;
  assertEquals(counts[2], 0);
  for (const index of [0, 1, 3]) assert(Math.abs(counts[index] - 4000 / 3) < 5 * Math.sqrt(4000 * 2 / 9));
  assertEquals(toNested(sampleLogits(key(1), tensor([[1, 3, 3], [NaN, 5, NaN]]), {})), [1, 0]);
});

Deno.test("categorical works along any axis and in float64, and refuses what are no logits", () => {
  const logits = tensor([[0, -Infinity], [-Infinity, 0], [-Infinity, -Infinity]], { dtype: "float64" });
  assertEquals(toNested(categorical(key(0), logits, { axis: 0 })), [0, 1]);
  assertEquals(categorical(key(0), zeros([2, 3, 4])).shape, [2, 3]);
  assertEquals(categorical(key(0), zeros([4])).shape, []);
  const whole = zeros([2], { dtype: "int32" });
  assertThrows(() => categorical(key(0), whole), TypeError, "Cannot compute categorical of int32[2]");
  assertThrows(() => categorical(tensor([1]), zeros([2])), TypeError, "Cannot draw from logits: the key is");
  assertThrows(() => categorical(key(0), zeros([2, 0])), RangeError);
  assertThrows(() => categorical(key(0), zeros([2]), { axis: 1 }), RangeError, "Cannot draw along axis 1");
});
