/** Attention: masks, what is to come, several heads, and what is refused. */
import * as cf from "@cellfold/cellfold";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { random } from "./helpers.ts";

const layers: readonly (readonly [string, cf.Layer])[] = [
  ["attention", cf.attention({ useCausalMask: true, returnAttentionScores: true })],
  ["additiveAttention", cf.additiveAttention({ useCausalMask: true, returnAttentionScores: true })],
  [
    "multiHeadAttention",
    cf.multiHeadAttention({ numHeads: 2, keyDim: 3, useCausalMask: true, returnAttentionScores: true }),
  ],
];
const counted = cf.cast(cf.tensor([[1, 0, 1, 1], [1, 1, 1, 0]]), "bool");

for (const [name, layer] of layers) {
  Deno.test(`${name}: what is masked, or to come, has no weight and no effect, NaN or not`, () => {
    const x = random(1, [2, 4, 3]);
    const variables = cf.init(layer, cf.key(0), [x, x]);
    const run = (value: cf.Tensor) => {
      const context = { training: false, mask: [undefined, counted] };
      return cf.treeLeaves<cf.Tensor>(layer.apply(variables, [x, value], context).output);
    };
    const [output, scores] = run(x);
    const hidden = cf.select(cf.expandDims(counted, 2), x, NaN);
    const values = (leaves: readonly cf.Tensor[]) => leaves.map((leaf) => [...cf.host(leaf).data]);
    assertEquals(values(run(hidden)), values([output, scores]));
    const weights = (cf.toNested(scores) as number[][][]).flat(scores.shape.length - 2) as number[][];
    assertEquals([weights[0][1], weights[0][2], weights[0][3]], [0, 0, 0]); // later steps
    assert(weights.every((row) => Math.abs(row.reduce((sum, weight) => sum + weight) - 1) < 1e-6));
    assertEquals([weights[2][1], weights[3][1]], [0, 0]); // the masked step
  });

  Deno.test(`${name}: is no layer of chunks, and refuses inputs that do not fit`, async () => {
    const x = cf.input([null, 3]);
    const model = cf.model({ inputs: x, outputs: cf.call(layer, [x, x]) });
    const variables = cf.init(model, cf.key(0), cf.spec([null, null, 3]));
    using stream = cf.streaming(model, variables);
    await assertRejects(() => stream.push(cf.zeros([1, 4, 3])), TypeError, "in chunks");
    const one = cf.zeros([1, 4, 3]);
    const expected = "expected a list of a query, a value";
    const other = cf.init(layer, cf.key(0), [one, one]);
    assertThrows(() => layer.apply(other, one, { training: false }), TypeError, expected);
    assertThrows(
      () => layer.apply(other, [one, cf.zeros([2, 4, 3])], { training: false }),
      TypeError,
      expected,
    );
  });
}

Deno.test("multiHeadAttention: a query that sees nothing gets no weights, and finite gradients", () => {
  const layer = cf.multiHeadAttention({ numHeads: 1, keyDim: 2 });
  const x = random(2, [1, 3, 2]);
  const variables = cf.init(layer, cf.key(0), [x, x]);
  const nothing = cf.cast(cf.zeros([1, 3]), "bool");
  const loss = (params: cf.Tree<cf.Tensor>) => {
    const context = { training: false, mask: [undefined, nothing] };
    return cf.sum(layer.apply({ ...variables, params }, [x, x], context).output);
  };
  const gradient = cf.treeLeaves<cf.Tensor>(cf.grad(loss)(variables.params));
  assert(gradient.every((leaf) => [...cf.host(leaf).data].every(Number.isFinite)));
});
