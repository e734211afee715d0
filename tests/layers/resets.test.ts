/** Resets in layers: packed sequences equal those run by themselves, in values and gradients; who takes them, and who not. */
import {
  add,
  bidirectional,
  concat,
  convLstm1d,
  defineLayer,
  dense,
  grad,
  gru,
  gruCell,
  host,
  key,
  type Layer,
  layerNormLstm,
  lstm,
  lstmCell,
  mul,
  rnn,
  sequential,
  simpleRnn,
  spec,
  stackedCells,
  sum,
  type Tensor,
  tensor,
  timeDistributed,
  toNested,
  trace,
  type Tree,
  treeLeaves,
  type Variables,
  zeros,
} from "@cellfold/cellfold";
import { assertEquals, assertThrows } from "@std/assert";
import { sliceAxis } from "../../src/internal.ts";
import { runPasses } from "../../src/passes/mod.ts";
import type { Attributes, Program } from "../../src/program/types.ts";
import { assertClose, assertGradient, doubled, random, single, variablesOf } from "./helpers.ts";

const [BATCH, TIME] = [2, 7];
/** First step and number of steps of each packed sequence. */
const PACKED = [[0, 3], [3, 1], [4, 3]] as const;
const resets = tensor(
  Array.from({ length: BATCH }, () => Array.from({ length: TIME }, (_, step) => step === 3 || step === 4)),
);
const mask = tensor([[1, 1, 0, 1, 0, 1, 1], [1, 0, 1, 0, 1, 1, 0]].map((row) => row.map(Boolean)));

const all = { returnSequences: true } as const;
const layers: readonly Layer[] = [
  simpleRnn({ units: 3, ...all }),
  gru({ units: 3, ...all }),
  gru({ units: 3, resetAfter: false, ...all }),
  lstm({ units: 3, ...all }),
  lstm({ units: 3, zeroOutputForMask: true, checkpointEvery: 2, ...all }),
  layerNormLstm({ units: 3, ...all }),
  convLstm1d({ filters: 2, kernelSize: 2, padding: "same", ...all }),
  rnn(stackedCells([lstmCell({ units: 3 }), gruCell({ units: 2 })]), all),
  bidirectional(lstm({ units: 3, ...all })),
  bidirectional(gru({ units: 2, ...all }), { mergeMode: "sum" }),
  lstm({ units: 3, goBackwards: true, ...all }),
];

interface Extras {
  readonly mask?: Tensor;
  readonly resets?: Tensor;
}

const outputOf = (layer: Layer, variables: Variables, x: Tensor, extras: Extras = {}) =>
  single(layer.apply(variables, x, { training: false, ...extras }).output);

/** The outputs of the packed sequences, each run by itself. */
function apart(layer: Layer, variables: Variables, x: Tensor, masked: Tensor | undefined): Tensor {
  const outputs = PACKED.map(([from, steps]) =>
    outputOf(layer, variables, sliceAxis(x, 1, from, steps), {
      mask: masked && sliceAxis(masked, 1, from, steps),
    })
  );
  // Backwards, outputs are in the order of processing: the last sequence first.
  return concat(layer.options.goBackwards ? outputs.reverse() : outputs, { axis: 1 });
}

for (const [index, layer] of layers.entries()) {
  for (const masked of [undefined, mask]) {
    const how = `${layer.type} ${index}${masked ? " with a mask" : ""}`;
    Deno.test(`packed sequences equal those run apart: ${how}`, () => {
      const given = random(2, layer.type === "convLstm1d" ? [BATCH, TIME, 4, 2] : [BATCH, TIME, 2]);
      const { params, state } = variablesOf(layer, given);
      const x = doubled(given) as Tensor;
      const weights = doubled(
        random(3, host(apart(layer, { params: doubled(params), state }, x, masked)).shape),
      );
      const loss =
        (run: (variables: Variables, x: Tensor) => Tensor) =>
        (at: { readonly params: Tree<Tensor>; readonly x: Tensor }) =>
          sum(mul(run({ params: at.params, state }, at.x), weights as Tensor));
      const packed = (variables: Variables, x: Tensor) =>
        outputOf(layer, variables, x, { mask: masked, resets });
      const at = { params: doubled(params) as Tree<Tensor>, x };
      const variables = { params: at.params, state };
      // Sums over a few dozen numbers of size 1, in another order.
      assertClose(packed(variables, x), apart(layer, variables, x, masked), 1e-12);
      const found = grad(loss(packed))(at);
      const expected = grad(loss((variables, x) => apart(layer, variables, x, masked)))(at);
      assertClose(found as unknown as Tree<Tensor>, expected as unknown as Tree<Tensor>, 1e-11);
      assertGradient(loss(packed) as (tree: Tree<Tensor>) => Tensor, at as unknown as Tree<Tensor>);
    });
  }
}

Deno.test("the last output and state are those of the sequence that is run last", () => {
  const x = random(4, [BATCH, TIME, 2]);
  for (const goBackwards of [false, true]) {
    const layer = lstm({ units: 3, returnState: true, goBackwards });
    const variables = variablesOf(layer, x);
    const [from, steps] = PACKED[goBackwards ? 0 : 2];
    const run = (x: Tensor, extras: Extras) =>
      layer.apply(variables, x, { training: false, ...extras }).output;
    assertClose(
      run(x, { resets }) as unknown as Tree<Tensor>,
      run(sliceAxis(x, 1, from, steps), {}) as unknown as Tree<Tensor>,
      1e-6,
    );
  }
});

Deno.test("an initial state belongs to the first sequence of a row, and a carry is abandoned", () => {
  const x = random(5, [BATCH, TIME, 2]);
  const stateful = gru({ units: 3, stateful: true, returnSequences: true });
  const { params, state } = variablesOf(stateful, x);
  const given = random(6, [BATCH, 3]);
  const plain = gru({ units: 3, returnSequences: true });
  const late = (y: Tensor) => sliceAxis(y, 1, 4, 3);
  const fresh = outputOf(plain, { params, state: [] }, late(x));
  const first = single(
    plain.apply({ params, state: [] }, sliceAxis(x, 1, 0, 3), { training: false, initialState: given })
      .output,
  );
  const runs = {
    "an initial state": plain.apply({ params, state: [] }, x, {
      training: false,
      initialState: given,
      resets,
    }),
    "a carry": stateful.apply({ params, state: { carry: given } }, x, { training: false, resets }),
  };
  for (const { output } of Object.values(runs)) {
    assertClose(late(single(output)), fresh, 1e-6);
    assertClose(sliceAxis(single(output), 1, 0, 3), first, 1e-6);
  }
  const atOnce = tensor(
    Array.from({ length: BATCH }, () => Array.from({ length: TIME }, (_, step) => step === 0)),
  );
  assertClose(
    stateful.apply({ params, state: { carry: given } }, x, {
      training: false,
      resets: atOnce,
    }) as unknown as Tree<Tensor>,
    stateful.apply({ params, state }, x, { training: false }) as unknown as Tree<Tensor>,
  );
});

Deno.test("rows have resets of their own, in both directions", () => {
  const x = random(7, [2, 5, 2]);
  const layer = bidirectional(lstm({ units: 3, returnSequences: true, returnState: true }));
  const variables = variablesOf(layer, x);
  const own = tensor([[0, 0, 1, 0, 0], [1, 1, 0, 0, 1]].map((row) => row.map(Boolean)));
  const both = treeLeaves<Tensor>(
    layer.apply(variables, x, { training: false, resets: own }).output as Tree<Tensor>,
  );
  for (const row of [0, 1]) {
    const at = (x: Tensor) => sliceAxis(x, 0, row, 1);
    const alone = layer.apply(variables, at(x), { training: false, resets: at(own) }).output;
    assertClose(both.map(at), treeLeaves<Tensor>(alone as Tree<Tensor>), 1e-6);
  }
});

Deno.test("layers without a state of their own refuse resets, and so do resets that do not fit", () => {
  const x = zeros([BATCH, TIME, 2]);
  const refused = (layer: Layer, message: string, given: Tensor = resets) =>
    assertThrows(
      () => layer.apply(variablesOf(layer, x), x, { training: false, resets: given }),
      TypeError,
      message,
    );
  refused(
    dense({ units: 2, name: "head" }),
    "Cannot use dense head with resets: only recurrent layers take them",
  );
  refused(sequential([lstm({ units: 2 })]), "Cannot use sequential with resets");
  refused(timeDistributed(dense({ units: 2 })), "Cannot use timeDistributed with resets");
  const wrong = "Cannot use lstm with the resets float32[2, 7]: expected bool[2, 7]";
  refused(lstm({ units: 2 }), wrong, zeros([BATCH, TIME]));
  refused(lstm({ units: 2 }), "the resets bool[2, 1]: expected bool[2, 7]", sliceAxis(resets, 1, 0, 1));
});

/** How many products a Program has in the loops of its scans, and outside. */
function productsOf(
  { equations }: Program,
  isInLoop = false,
): { readonly inside: number; readonly outside: number } {
  return equations.reduce((count, { operation, attributes }) => {
    if (operation.name === "matmul") {
      return isInLoop ? { ...count, inside: count.inside + 1 } : { ...count, outside: count.outside + 1 };
    }
    if (operation.name !== "scan") return count;
    const { inside, outside } = productsOf((attributes as Attributes["scan"]).body, true);
    return { inside: count.inside + inside, outside: count.outside + outside };
  }, { inside: 0, outside: 0 });
}

Deno.test("with resets, products of all steps stay outside the loops of a training step", () => {
  for (const layer of [lstm({ units: 3 }), gru({ units: 3 }), simpleRnn({ units: 3 })]) {
    const x = spec([null, null, 2]);
    const count = (reset: boolean) => {
      const gradient = grad((params: Tree<Tensor>, x: Tensor, resets: Tensor) =>
        sum(outputOf(layer, { params, state: [] }, x, reset ? { resets } : {}))
      );
      const { program } = trace(gradient, layer.initParams(key(0), x), x, spec([null, null], "bool"));
      return productsOf(runPasses(program));
    };
    assertEquals(count(true), count(false), layer.type);
    // In the loops, the recurrent product and its derivative; outside, that of the inputs and those of the weights.
    assertEquals(count(true), { inside: 2, outside: 3 }, layer.type);
  }
});

Deno.test("a layer of one's own around a recurrent one takes resets if it says so", () => {
  const inner = gru({ units: 2, returnSequences: true });
  const residual = defineLayer({
    type: "residual",
    options: {},
    layers: [inner],
    takesResets: true,
    initParams: inner.initParams,
    apply: ({ params, state }, x, context) => {
      const applied = inner.apply({ params, state }, x, context);
      return { ...applied, output: add(applied.output, single(x)) };
    },
  });
  const x = random(8, [BATCH, TIME, 2]);
  const variables = variablesOf(residual, x);
  const found = outputOf(residual, variables, x, { resets });
  assertEquals(toNested(found), toNested(add(outputOf(inner, variables, x, { resets }), x)));
});
