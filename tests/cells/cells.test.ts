import {
  convLstm1dCell,
  convLstm2dCell,
  convLstm3dCell,
  gruCell,
  key,
  layerNormLstmCell,
  lstmCell,
  mul,
  outputSpecs,
  rnn,
  simpleRnnCell,
  type Spec,
  spec,
  stackedCells,
  sum,
  type Tensor,
  tensor,
  toNested,
  type Tree,
  treeLeaves,
} from "@cellfold/cellfold";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { cellTypes } from "../../src/models/saved_types.ts";
import {
  assertClose,
  assertGradient,
  countOf,
  random,
  run,
  shapesOf,
  single,
  variablesOf,
} from "../layers/helpers.ts";
import type { AnyCell } from "../../src/cells/cell.ts";

/** Every kind of cell with an input for a sequence of it. */
const cells: Readonly<Record<string, { readonly cell: AnyCell; readonly input: readonly number[] }>> = {
  simpleRnn: { cell: simpleRnnCell({ units: 4 }), input: [2, 3, 5] },
  lstm: { cell: lstmCell({ units: 4 }), input: [2, 3, 5] },
  "lstm without bias": { cell: lstmCell({ units: 4, useBias: false }), input: [2, 3, 5] },
  "lstm with peepholes": { cell: lstmCell({ units: 4, peepholes: true }), input: [2, 3, 5] },
  "lstm with a projection": { cell: lstmCell({ units: 4, projection: 3 }), input: [2, 3, 5] },
  "lstm with coupled gates": { cell: lstmCell({ units: 4, inputForget: true }), input: [2, 3, 5] },
  "lstm with clipped gates": { cell: lstmCell({ units: 4, clip: 0.4 }), input: [2, 3, 5] },
  "lstm with everything": {
    cell: lstmCell({
      units: 4,
      peepholes: true,
      projection: 2,
      inputForget: true,
      clip: 0.9,
      useBias: false,
    }),
    input: [2, 3, 5],
  },
  "simpleRnn with clip": { cell: simpleRnnCell({ units: 4, clip: 0.5 }), input: [2, 3, 5] },
  "gru with clip": { cell: gruCell({ units: 4, clip: 0.4 }), input: [2, 3, 5] },
  "gru with reset before and clip": {
    cell: gruCell({ units: 4, resetAfter: false, clip: 0.4 }),
    input: [2, 3, 5],
  },
  gru: { cell: gruCell({ units: 4 }), input: [2, 3, 5] },
  "gru with reset before": { cell: gruCell({ units: 4, resetAfter: false }), input: [2, 3, 5] },
  layerNormLstm: { cell: layerNormLstmCell({ units: 4 }), input: [2, 3, 5] },
  stacked: { cell: stackedCells([lstmCell({ units: 4 }), gruCell({ units: 3 })]), input: [2, 3, 5] },
  convLstm1d: { cell: convLstm1dCell({ filters: 2, kernelSize: 3, strides: 2 }), input: [2, 3, 7, 1] },
  convLstm2d: {
    cell: convLstm2dCell({ filters: 2, kernelSize: [2, 3], padding: "same" }),
    input: [1, 2, 4, 3, 2],
  },
  convLstm3d: {
    cell: convLstm3dCell({ filters: 1, kernelSize: 2, dilationRate: 2 }),
    input: [1, 2, 3, 4, 3, 1],
  },
};

for (const [name, { cell, input }] of Object.entries(cells)) {
  Deno.test(`${name}: the gradient of params and input is the finite difference in float64`, () => {
    const layer = rnn(cell, { returnSequences: true });
    const x = random(5, input);
    const { params } = variablesOf(layer, x);
    const weights = random(6, shapesOf(run(layer, { params, state: [] }, x))[0].split(",").map(Number));
    assertGradient((tree) => {
      const [params, x, weights] = tree as readonly [Tree<Tensor>, Tensor, Tensor]; // as given below
      const output = single(run(layer, { params, state: [] }, x));
      return sum(mul(mul(output, output), weights));
    }, [params, x, weights]);
  });

  Deno.test(`${name}: it is traced with an open batch and time`, () => {
    const layer = rnn(cell, { returnSequences: true });
    const open = spec([null, null, ...input.slice(2)]);
    const params = layer.initParams(key(0), open);
    const apply = (params: Tree<Tensor>, x: Tensor) => single(run(layer, { params, state: [] }, x));
    const output = outputSpecs<Spec>(apply, params, open);
    assertEquals(output.shape.slice(0, 2).map(String), ["batch", "time"]);
  });

  Deno.test(`${name}: it comes back from its JSON with the same params and outputs`, () => {
    const saved = JSON.parse(JSON.stringify(cell.options));
    const revive: Parameters<typeof cellTypes[string]>[1] = {
      cell: (json) => {
        const { type, options } = json as { type: string; options: Record<string, never> }; // as cellJson wrote it
        return cellTypes[type](options, revive);
      },
    };
    const again = cellTypes[cell.type](saved, revive);
    assertEquals(JSON.stringify(again.options), JSON.stringify(cell.options));
    const x = random(5, input);
    const [first, second] = [cell, again].map((each) => rnn(each));
    const variables = variablesOf(first, x);
    assertEquals(shapesOf(variablesOf(second, x).params), shapesOf(variables.params));
    assertClose(run(second, variables, x), run(first, variables, x));
  });
}

Deno.test("cells have as many parameters as Keras's", () => {
  const count = (cell: AnyCell, ...axes: number[]) => countOf(cell.initParams(key(0), spec([null, ...axes])));
  assertEquals(count(simpleRnnCell({ units: 64 }), 28), 64 * (28 + 64 + 1));
  assertEquals(count(lstmCell({ units: 128 }), 64), 98816);
  assertEquals(count(lstmCell({ units: 128, useBias: false }), 64), 98816 - 512);
  assertEquals(count(gruCell({ units: 64 }), 28), 3 * 64 * (28 + 64 + 2));
  assertEquals(count(gruCell({ units: 64, resetAfter: false }), 28), 3 * 64 * (28 + 64 + 1));
  assertEquals(count(convLstm2dCell({ filters: 8, kernelSize: 3 }), 16, 16, 2), 4 * 8 * (9 * 2 + 9 * 8 + 1));
});

Deno.test("the bias of an LSTM begins at 1 for the forget gate, unless unitForgetBias is false", () => {
  const biasOf = (unitForgetBias: boolean) => {
    const params = lstmCell({ units: 2, unitForgetBias }).initParams(key(0), spec([null, 3]));
    return toNested(treeLeaves<Tensor>(params)[0]);
  };
  assertEquals(biasOf(true), [0, 0, 1, 1, 0, 0, 0, 0]);
  assertEquals(biasOf(false), [0, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("an activation and an initializer may be functions, which act and cannot be saved", () => {
  const cell = simpleRnnCell({
    units: 2,
    activation: (x) => mul(x, 2),
    kernelInitializer: (_, shape) => tensor([1, 2], { shape }),
    useBias: false,
  });
  const params = cell.initParams(key(0), spec([1, 1]));
  const step = cell.step(params, { training: false, input: spec([1, 1]) });
  const [output] = step(tensor([[0, 0]]), tensor([[3]]));
  assertEquals(toNested(output), [[6, 12]]);
  assertThrows(
    () => JSON.stringify(cell.options),
    TypeError,
    "Cannot save simpleRnnCell: its option activation is a function",
  );
});

Deno.test("dropout drops the input or the state, the same at every step, and only while training", () => {
  const x = tensor(new Float32Array(2 * 3 * 64).fill(1), { shape: [2, 3, 64] });
  const identity = (_: unknown, shape: readonly number[]) =>
    tensor(Array.from({ length: shape[0] * shape[1] }, (_, i) => i % (shape[1] + 1) === 0 ? 1 : 0), {
      shape,
    });
  const options = { units: 64, activation: "linear", useBias: false } as const;
  const layer = rnn(
    simpleRnnCell({ ...options, dropout: 0.5, kernelInitializer: identity, recurrentInitializer: "zeros" }),
    { returnSequences: true },
  );
  const variables = { params: layer.initParams(key(0), x), state: [] };
  const { output } = layer.apply(variables, x, { training: true, key: key(7) });
  const [first] = toNested(output) as number[][][];
  assertEquals(first[0], first[1]);
  assertEquals([...new Set(first[0])].sort(), [0, 2]);
  assertClose(run(layer, variables, x), x);

  const recurrent = rnn(
    simpleRnnCell({
      ...options,
      recurrentDropout: 0.5,
      kernelInitializer: "zeros",
      recurrentInitializer: identity,
    }),
  );
  const state = { params: recurrent.initParams(key(0), x), state: [] };
  const initialState = tensor(new Float32Array(2 * 64).fill(1), { shape: [2, 64] });
  const dropped = recurrent.apply(state, x, { training: true, key: key(7), initialState }).output;
  const values = new Set((toNested(dropped) as number[][]).flat());
  assertEquals([...values].sort(), [0, 8]); // three times doubled, or dropped

  assertThrows(() => layer.apply(variables, x, { training: true }), TypeError, "the context has no key");
});

Deno.test("recurrent dropout of a GRU leaves the state that the update gate mixes in", () => {
  for (const resetAfter of [true, false]) {
    const cell = gruCell({ units: 32, recurrentDropout: 0.5, resetAfter, kernelInitializer: "zeros" });
    const x = random(1, [1, 4]);
    const { bias, kernel, recurrentKernel } = cell.initParams(key(0), x) as Record<string, Tensor>;
    const params = { bias, kernel, recurrentKernel: mul(recurrentKernel, 0) };
    const h = random(2, [1, 32]);
    const [next] = cell.step(params, { training: true, key: key(1), input: x })(h, x);
    assertClose(next, mul(h, 0.5), 1e-7); // z = 1/2 and a candidate of 0
  }
});

Deno.test("stacked cells are the composition of their layers", () => {
  const x = random(1, [2, 4, 3]);
  const [first, second] = [lstmCell({ units: 4 }), gruCell({ units: 5 })];
  const stack = rnn(stackedCells([first, second]), { returnSequences: true });
  const variables = variablesOf(stack, x);
  const [firstParams, secondParams] = variables.params as readonly Tree<Tensor>[]; // one for each cell
  const below = run(rnn(first, { returnSequences: true }), { params: firstParams, state: [] }, x);
  const above = run(rnn(second, { returnSequences: true }), { params: secondParams, state: [] }, below);
  assertClose(run(stack, variables, x), above);
  assertThrows(() => stackedCells([]), RangeError, "at least one cell");
});

Deno.test("a convolutional LSTM whose window is one pixel is an LSTM at every pixel", () => {
  const x = random(1, [2, 3, 4, 5]);
  const conv = rnn(convLstm1dCell({ filters: 3, kernelSize: 1 }));
  const variables = variablesOf(conv, x);
  const { bias, kernel, recurrentKernel } = variables.params as Record<string, Tensor>;
  const params = {
    bias,
    kernel: tensor((toNested(kernel) as number[][][])[0]),
    recurrentKernel: tensor((toNested(recurrentKernel) as number[][][])[0]),
  };
  const output = toNested(run(conv, variables, x) as Tensor) as number[][][];
  const pixels = toNested(x) as number[][][][];
  const pixel = tensor(pixels.map((sequence) => sequence.map((step) => step[2])));
  const expected = run(rnn(lstmCell({ units: 3 })), { params, state: [] }, pixel);
  assertClose(tensor(output.map((row) => row[2])), expected, 1e-6);
});

Deno.test("options that are wrong are refused with what is known", () => {
  const misspelt: object = { units: 3, recurentDropout: 0.5 };
  assertThrows(
    () => lstmCell(misspelt as { units: number }),
    RangeError,
    'Cannot use the option "recurentDropout" of lstmCell: it is unknown; did you mean "recurrentDropout"?',
  );
  const name: string = "tahn";
  assertThrows(() => gruCell({ units: 3, activation: name as "tanh" }), RangeError, 'did you mean "tanh"?');
  assertThrows(() => lstmCell({ units: 0 }), RangeError, "units is 0, expected a whole number from 1");
  assertThrows(
    () => lstmCell({ units: 2, dropout: 1 }),
    RangeError,
    "dropout is 1, expected a number from 0 to below 1",
  );
  assertThrows(
    () => convLstm2dCell({ filters: 2, kernelSize: [3] }),
    RangeError,
    "kernelSize is [3], expected a number or 2 of them",
  );
  const padding: string = "smae";
  assertThrows(
    () => convLstm2dCell({ filters: 2, kernelSize: 3, padding: padding as "same" }),
    RangeError,
    'did you mean "same"?',
  );
});

Deno.test("an input that does not fit names the cell and both shapes", () => {
  const cell = lstmCell({ units: 2 });
  const params = cell.initParams(key(0), spec([null, 3]));
  assertThrows(
    () => cell.step(params, { training: false, input: spec([null, 5]) }),
    TypeError,
    "Cannot use lstmCell with an input of shape [batch, 5]: one step has the shape [batch, 5], " +
      "expected [batch, 3] as the kernel is for 3 features",
  );
  assertThrows(() => cell.initParams(key(0), spec([null, 4, 3])), TypeError, "expected [batch, features]");
  assertThrows(
    () => cell.initState({ kernel: tensor([[1]]) }, spec([null, 3])),
    TypeError,
    "Cannot use lstmCell with the params {kernel}: expected {kernel, recurrentKernel, bias}",
  );
  assertThrows(
    () => convLstm1dCell({ filters: 1, kernelSize: 5 }).initParams(key(0), spec([null, 3, 1])),
    TypeError,
    "the window is larger",
  );
});

Deno.test("layer normalization makes the projections of an LSTM independent of the scale of its input", () => {
  const layer = rnn(layerNormLstmCell({ units: 8, epsilon: 1e-9 }));
  const x = random(1, [2, 3, 5]);
  const variables = variablesOf(layer, x);
  assertClose(run(layer, variables, mul(x, 10)), run(layer, variables, x), 1e-5);
  assert(countOf(variables.params) === 4 * 8 * (5 + 8 + 1) + 2 * (32 + 32 + 8));
});
