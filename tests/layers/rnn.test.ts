import {
  add,
  at,
  cast,
  compile,
  concat,
  convLstm2d,
  einsum,
  fromJson,
  grad,
  gru,
  host,
  key,
  type Layer,
  layerNormLstm,
  lstm,
  lstmCell,
  matmul,
  outputSpecs,
  printProgram,
  type RecurrentCell,
  resetStates,
  reverse,
  rnn,
  simpleRnn,
  spec,
  sum,
  tanh,
  type Tensor,
  tensor,
  toJson,
  trace,
  type Tree,
  zeros,
} from "@cellfold/cellfold";
import { isRecurrentLayer, sliceAxis } from "@cellfold/cellfold/internal";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { assertClose, countOf, parts, random, run, shapesOf, single, variablesOf } from "./helpers.ts";

const x = random(1, [2, 5, 3]);
const stateless = (params: Tree<Tensor>) => ({ params, state: [] });

Deno.test("output shapes: the last step, all steps, and the state after them", () => {
  const shapes = (options: object) => {
    const layer = lstm({ units: 4, ...options });
    return shapesOf(run(layer, variablesOf(layer, x), x));
  };
  assertEquals(shapes({}), ["2,4"]);
  assertEquals(shapes({ returnSequences: true }), ["2,5,4"]);
  assertEquals(shapes({ returnState: true }), ["2,4", "2,4", "2,4"]);
  assertEquals(shapes({ returnSequences: true, returnState: true }), ["2,5,4", "2,4", "2,4"]);
  const images = random(2, [2, 3, 6, 5, 1]);
  const layer = convLstm2d({ filters: 2, kernelSize: 3, returnSequences: true });
  assertEquals(shapesOf(run(layer, variablesOf(layer, images), images)), ["2,3,4,3,2"]);
});

Deno.test("the last output is the last of all, forwards and backwards", () => {
  for (const goBackwards of [false, true]) {
    const all = gru({ units: 4, goBackwards, returnSequences: true, returnState: true });
    const variables = variablesOf(all, x);
    const [sequence, state] = parts(run(all, variables, x)) as readonly Tensor[]; // of a GRU both are tensors
    const last = run(all.withFlags({ returnSequences: false, returnState: false }), variables, x);
    assertClose(at(sequence, -1, { axis: 1 }), last);
    assertClose(state, last);
  }
});

Deno.test("going backwards is going forwards over the flipped sequence and mask", () => {
  const forwards = lstm({ units: 4, returnSequences: true, returnState: true });
  const backwards = forwards.withFlags({ goBackwards: true });
  const variables = variablesOf(forwards, x);
  const mask = tensor([[true, false, true, true, false], [false, true, true, false, false]]);
  assertClose(run(backwards, variables, x), run(forwards, variables, reverse(x, 1)));
  assertClose(
    run(backwards, variables, x, { mask }),
    run(forwards, variables, reverse(x, 1), { mask: reverse(mask, 1) }),
  );
});

Deno.test("a layer is rnn of its cell", () => {
  const layer = lstm({ units: 4, returnSequences: true, recurrentActivation: "hardSigmoid" });
  const general = rnn(lstmCell({ units: 4, recurrentActivation: "hardSigmoid" }), { returnSequences: true });
  const variables = variablesOf(layer, x);
  assertClose(general.initParams(key(1), x), layer.initParams(key(1), x));
  assertClose(run(general, variables, x), run(layer, variables, x));
  assert(isRecurrentLayer(layer));
});

Deno.test("layers have as many parameters as Keras's", () => {
  const count = (layer: Layer) => countOf(layer.initParams(key(0), spec([null, null, 28])));
  assertEquals(count(lstm({ units: 64 })), 23808);
  assertEquals(count(gru({ units: 64 })), 18048);
  assertEquals(count(simpleRnn({ units: 128 })), 20096);
  assertEquals(count(layerNormLstm({ units: 64 })), 23808 + 4 * 256 + 128);
});

Deno.test("masked steps keep the state, and put out what the step before did, or zeros", () => {
  const layer = gru({ units: 4, returnSequences: true, returnState: true });
  const variables = variablesOf(layer, x);
  const mask = tensor([[true, true, false, false, false], [true, true, false, false, false]]);
  const short = sliceAxis(x, 1, 0, 2);
  const [shortOutput, shortState] = parts(run(layer, variables, short)) as readonly Tensor[]; // of a GRU
  const last = at(shortOutput, -1, { axis: 1 });
  const repeated = concat([shortOutput, ...[0, 1, 2].map(() => sliceAxis(shortOutput, 1, 1, 1))], {
    axis: 1,
  });
  assertClose(run(layer, variables, x, { mask }), [repeated, shortState]);
  const padded = concat([shortOutput, zeros([2, 3, 4])], { axis: 1 });
  assertClose(run(layer.withFlags({ zeroOutputForMask: true }), variables, x, { mask }), [
    padded,
    shortState,
  ]);
  const lastOnly = layer.withFlags({ returnSequences: false });
  assertClose(run(lastOnly, variables, x, { mask }), [last, shortState]);
  assertClose(run(lastOnly.withFlags({ zeroOutputForMask: true }), variables, x, { mask }), [
    zeros([2, 4]),
    shortState,
  ]);
});

Deno.test("a row that is masked throughout returns its initial state and puts out zeros", () => {
  const layer = gru({ units: 4, returnState: true });
  const initialState = random(3, [2, 4]);
  const mask = tensor(new Uint8Array(10), { shape: [2, 5], dtype: "bool" });
  assertClose(run(layer, variablesOf(layer, x), x, { mask, initialState }), [zeros([2, 4]), initialState]);
});

Deno.test("the mask goes on with a sequence, and ends with its last output", () => {
  const mask = tensor(new Uint8Array(10).fill(1), { shape: [2, 5], dtype: "bool" });
  const maskOf = (options: object) => {
    const layer = gru({ units: 4, ...options });
    return layer.apply(variablesOf(layer, x), x, { training: false, mask }).mask;
  };
  assert(maskOf({ returnSequences: true }) === mask);
  assertEquals(maskOf({}), undefined);
  assertEquals(maskOf({ returnSequences: true, returnState: true }), [mask, undefined]);
});

Deno.test("the state of one layer is the initial state of another", () => {
  const encoder = lstm({ units: 4, returnState: true });
  const decoder = lstm({ units: 4 });
  const variables = variablesOf(encoder, x);
  const [early, late] = [sliceAxis(x, 1, 0, 2), sliceAxis(x, 1, 2, 3)];
  const [, initialState] = parts(run(encoder, variables, early));
  assertClose(run(decoder, variables, late, { initialState }), run(decoder, variables, x));
});

Deno.test("chunks through a stateful layer are the whole sequence, and a reset begins anew", () => {
  const layer = lstm({ units: 4, returnSequences: true, stateful: true });
  const whole = lstm({ units: 4, returnSequences: true });
  const { params, state } = variablesOf(layer, x);
  const chunks = [sliceAxis(x, 1, 0, 2), sliceAxis(x, 1, 2, 3)];
  let now = state;
  const outputs = chunks.map((chunk) => {
    const applied = layer.apply({ params, state: now }, chunk, { training: false });
    now = applied.state;
    return single(applied.output);
  });
  assertClose(concat(outputs, { axis: 1 }), run(whole, stateless(params), x));
  const again = resetStates(layer, { params, state: now }, x);
  assertClose(run(layer, { params, state: again }, x), run(whole, stateless(params), x));
});

Deno.test("no gradient goes through the carry of a stateful layer", () => {
  const layer = simpleRnn({ units: 4, stateful: true });
  const { params } = variablesOf(layer, x);
  const gradient = grad((carry: Tensor) => {
    const { output } = layer.apply({ params, state: { carry } }, x, { training: false });
    return sum(single(output));
  })(random(4, [2, 4]));
  assertClose(gradient, zeros([2, 4]));
  const given = grad((initialState: Tensor) =>
    sum(single(run(layer, { params, state: [] }, x, { initialState })))
  );
  assert(host(given(random(4, [2, 4]))).data.every((value) => value !== 0));
});

Deno.test("a cell of one's own: nested inputs, outputs and states", () => {
  const cell: RecurrentCell = {
    type: "nested",
    options: {},
    initParams: (key) => ({ w: random(host(key).data[1], [3, 2]), k: random(2, [2, 4, 3, 2]) }),
    initState: () => ({ a: zeros([2, 2]), b: zeros([2, 3, 2]) }),
    step: (params) => (state, input) => {
      const { w, k } = params as Record<string, Tensor>; // as initParams made them
      const { row, grid } = input as Record<string, Tensor>; // as given below
      const { a, b } = state as Record<string, Tensor>; // as initState made them
      const output = { a: matmul(row, w), b: einsum("bij,ijkl->bkl", grid, k) };
      return [output, { a: add(a, output.a), b: add(b, output.b) }];
    },
  };
  const input = { row: random(5, [2, 4, 3]), grid: random(6, [2, 4, 2, 4]) };
  const layer = rnn(cell, { returnSequences: true, returnState: true });
  const params = layer.initParams(key(1), input);
  const output = run(layer, stateless(params), input);
  assertEquals(shapesOf(output), ["2,4,2", "2,4,3,2", "2,2", "2,3,2"]);
  const last = run(rnn(cell, { goBackwards: true }), stateless(params), input);
  const first = mapAt(parts(output)[0], 0);
  assertClose(last, first); // this cell's output reads no state
});

function mapAt(tree: Tree<Tensor>, index: number): Tree<Tensor> {
  const { a, b } = tree as Record<string, Tensor>; // the outputs of the nested cell
  return { a: at(a, index, { axis: 1 }), b: at(b, index, { axis: 1 }) };
}

Deno.test("unroll changes nothing", async () => {
  const layer = lstm({ units: 4, unroll: true });
  const variables = variablesOf(layer, x);
  assertClose(run(layer, variables, x), run(lstm({ units: 4 }), variables, x));
  assertEquals(layer.options.unroll, true);
  using compiled = compile((input: Tensor) => run(layer, variables, input));
  assertClose(await compiled(x), run(layer, variables, x), 1e-6);
});

Deno.test("a layer is traced with an open batch and time; its Program has one scan", () => {
  const layer = gru({ units: 4 });
  const { params } = variablesOf(layer, x);
  const { program } = trace((input: Tensor) => run(layer, stateless(params), input), spec([null, null, 3]));
  assertEquals(program.equations.filter(({ operation }) => operation.name === "scan").length, 1);
  assertStringIncludes(printProgram(program), "float32[batch, 4]");
});

Deno.test("a sequence of length 0 gives an empty sequence, and has no last output", () => {
  const empty = zeros([2, 0, 3]);
  const layer = lstm({ units: 4, returnSequences: true, returnState: true, name: "encoder" });
  const variables = variablesOf(layer, empty);
  assertEquals(shapesOf(run(layer, variables, empty)), ["2,0,4", "2,4", "2,4"]);
  assertThrows(
    () => run(layer.withFlags({ returnSequences: false }), variables, empty),
    RangeError,
    "Cannot use lstm encoder with a sequence of length 0: it has no last output",
  );
});

Deno.test("an input that does not fit names the layer and both shapes", () => {
  const layer = lstm({ units: 4, name: "encoder" });
  const variables = variablesOf(layer, x);
  assertThrows(
    () => run(layer, variables, zeros([2, 5, 7])),
    TypeError,
    "Cannot use lstm encoder with an input of shape [2, 5, 7]: one step has the shape [2, 7], " +
      "expected [2, 3] as the kernel is for 3 features",
  );
  assertThrows(
    () => layer.initParams(key(0), spec([null, 5])),
    TypeError,
    "Cannot use lstm encoder with an input of shape [batch, 5]: one step has the shape [batch], " +
      "expected [batch, features]",
  );
  assertThrows(
    () => run(layer, variables, [x, x]),
    TypeError,
    "one step is a tree of tensors, expected one tensor [batch, features]",
  );
  assertThrows(
    () => run(layer, variables, tensor([[[1, 2, 3]]], { dtype: "int32" })),
    TypeError,
    "its dtype is int32, expected float32",
  );
  assertThrows(() => run(layer, variables, x, { mask: zeros([2, 5]) }), TypeError, "expected bool[2, 5]");
});

Deno.test("an initial state that does not fit names the path", () => {
  const layer = lstm({ units: 4 });
  const variables = variablesOf(layer, x);
  assertThrows(
    () => run(layer, variables, x, { initialState: [zeros([2, 4]), zeros([2, 5])] }),
    TypeError,
    "Cannot use lstm with the initial state float32[2, 5] at initialState[1]: expected float32[2, 4]",
  );
  assertThrows(
    () => run(layer, variables, x, { initialState: zeros([2, 4]) }),
    TypeError,
    "Cannot pair the state of lstm with the initial state that it is given",
  );
});

Deno.test("a stateful layer refuses an open batch, another batch and a state without a carry", () => {
  const layer = lstm({ units: 4, stateful: true });
  const variables = variablesOf(layer, x);
  assertThrows(
    () => layer.initState(variables.params, spec([null, null, 3])),
    RangeError,
    "it is stateful, so it needs a fixed batch size, as in spec([32, null, 28])",
  );
  assertThrows(
    () => run(layer, variables, zeros([3, 5, 3])),
    RangeError,
    "Cannot use lstm with a batch of 3: it is stateful for a batch of 2",
  );
  assertThrows(() => run(layer, stateless(variables.params), x), TypeError, "its state has no carry");
});

Deno.test("an option that the layer does not have is refused with the nearest", () => {
  const wrong: object = { units: 4, returnSequence: true };
  assertThrows(
    () => lstm(wrong as { units: number }),
    RangeError,
    'Cannot use the option "returnSequence" of lstm: it is unknown; did you mean "returnSequences"?',
  );
  const resetAfter: object = { resetAfter: true };
  assertThrows(() => rnn(lstmCell({ units: 4 }), resetAfter), RangeError, '"resetAfter" of rnn');
  assertThrows(() => lstm({ units: 4, activation: "tnah" as "tanh" }), RangeError, 'did you mean "tanh"?');
});

Deno.test("trainable says which leaves training changes", () => {
  const leaves = (trainable?: boolean) => {
    const layer = lstm({ units: 4, trainable });
    return layer.trainableLeaves(layer.initParams(key(0), x));
  };
  assertEquals(leaves(), [true, true, true]);
  assertEquals(leaves(false), [false, false, false]);
});

Deno.test("a step is what the equations of the cell say", () => {
  const layer = simpleRnn({ units: 4 });
  const { params } = variablesOf(layer, x);
  const { kernel, recurrentKernel, bias } = params as Record<string, Tensor>; // of a simpleRnn
  let h: Tensor = zeros([2, 4]);
  for (let t = 0; t < 5; t++) {
    h = tanh(add(add(matmul(at(x, t, { axis: 1 }), kernel), matmul(h, recurrentKernel)), bias));
  }
  assertClose(run(layer, stateless(params), x), h, 1e-6);
});

Deno.test("checkpointEvery keeps fewer states, changes neither outputs nor gradients, and is saved", () => {
  const mask = cast(tensor([[1, 1, 0, 1, 1], [0, 0, 0, 0, 0]]), "bool");
  const plain = lstm({ units: 4 });
  const kept = lstm({ units: 4, checkpointEvery: 2 });
  const { params } = variablesOf(plain, x);
  const gradient = (layer: Layer, mask?: Tensor) =>
    grad((params: Tree<Tensor>) => sum(single(run(layer, stateless(params), x, { mask }))))(params);
  assertClose(run(kept, stateless(params), x), run(plain, stateless(params), x), 1e-6);
  assertClose(gradient(kept), gradient(plain), 1e-6);
  assertClose(gradient(kept, mask), gradient(plain, mask), 1e-6);
  const scans = (layer: Layer) =>
    printProgram(trace((params: Tree<Tensor>) => run(layer, stateless(params), x), params).program)
      .split("scan").length;
  assert(scans(kept) > scans(plain));
  const open = outputSpecs((x: Tensor) => single(run(kept, stateless(params), x)), spec([null, null, 3]));
  assertEquals(String(open.shape), "batch,4");
  assertEquals(toJson(fromJson(toJson(kept))), toJson(kept));
  assertThrows(() => lstm({ units: 4, checkpointEvery: 0 }), RangeError, "checkpointEvery is 0");
});
