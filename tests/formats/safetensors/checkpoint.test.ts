import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  add,
  apply,
  batchNormalization,
  bidirectional,
  call,
  dense,
  dropout,
  fit,
  gru,
  type HostTensor,
  init,
  input,
  key,
  type Layer,
  lstm,
  mapTree,
  model,
  normal,
  predict,
  type RecurrentCell,
  rnn,
  sequential,
  spec,
  tanh,
  type Tensor,
  tensor,
  type Variables,
  zeros,
} from "@cellfold/cellfold";
import {
  decodeSafetensors,
  encodeSafetensors,
  loadCheckpoint,
  readCheckpoint,
  saveCheckpoint,
  writeCheckpoint,
} from "@cellfold/cellfold/safetensors";

const classifier = () =>
  sequential([
    bidirectional(lstm({ units: 3, projection: 2, peepholes: true, returnSequences: true })),
    dropout({ rate: 0.1 }),
    gru({ units: 4, clip: 3 }),
    batchNormalization(),
    dense({ units: 2, activation: "softmax" }),
  ]);

Deno.test("a checkpoint gives back the model, its variables with empty places, and the metadata", async () => {
  const layer = classifier();
  const variables = init(layer, key(0), spec([null, null, 3]));
  const bytes = saveCheckpoint({ model: layer, variables, metadata: { epoch: "7" } });
  const loaded = loadCheckpoint(bytes);
  assertEquals(loaded.variables, variables);
  assertEquals(loaded.model.options, layer.options);
  assertEquals(loaded.metadata, { epoch: "7" });
  assertEquals("optimizerState" in loaded, false);
  const x = normal(key(1), [2, 5, 3]);
  assertEquals(await predict(loaded.model, loaded.variables, x), await predict(layer, variables, x));
  const streamed = await readCheckpoint(
    writeCheckpoint({ model: layer, variables, metadata: { epoch: "7" } }),
  );
  assertEquals(streamed.variables, variables);
  const same = new Uint8Array(
    await new Response(writeCheckpoint({ model: layer, variables, metadata: { epoch: "7" } })).arrayBuffer(),
  );
  assertEquals(same, bytes);
});

Deno.test("a checkpoint has its variables in 16 bits if that is asked for, and its optimizer's state in 32", async () => {
  const layer = classifier();
  const variables = init(layer, key(0), spec([null, null, 3]));
  const optimizerState = { step: tensor(3, { dtype: "int32" }), moments: [tensor([1e-9, 1 / 3])] };
  const checkpoint = { model: layer, variables, optimizerState };
  const bytes = saveCheckpoint(checkpoint, { floats: "float16" });
  assert(bytes.length < saveCheckpoint(checkpoint).length - 500);
  const loaded = loadCheckpoint(bytes);
  const rounded = mapTree(
    { ...variables },
    (leaf: HostTensor) => ({ ...leaf, data: Float32Array.from(leaf.data, Math.f16round) }),
  );
  assertEquals<unknown>([loaded.variables, loaded.optimizerState], [rounded, optimizerState]);
  const streamed = await new Response(writeCheckpoint(checkpoint, { floats: "float16" })).arrayBuffer();
  assertEquals(new Uint8Array(streamed), bytes);
  assertThrows(
    () => saveCheckpoint(checkpoint, { floats: "half" as "float16" }),
    RangeError,
    'floats "half"',
  );
});

Deno.test({
  name: "training goes on from a checkpoint as if it had not stopped",
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const layer = classifier();
    const data = { x: normal(key(1), [8, 5, 3]), y: normal(key(2), [8, 2]) };
    const options = { loss: "mse", optimizer: "adam", batchSize: 4, shuffle: false, report: "none" } as const;
    const start = init(layer, key(0), spec([null, null, 3]));
    const whole = await fit(layer, start, data, { ...options, epochs: 2 });
    const half = await fit(layer, start, data, options);
    const bytes = saveCheckpoint({
      model: layer,
      variables: half.variables,
      optimizerState: half.optimizerState,
    });
    const { model: again, variables, optimizerState } = loadCheckpoint(bytes);
    const rest = await fit(again, variables, data, {
      ...options,
      epochs: 2,
      initialEpoch: 1,
      optimizerState,
    });
    assertEquals(rest.variables, whole.variables);
  },
});

const leakyCell: RecurrentCell = {
  type: "leakyCell",
  options: {},
  initParams: () => ({ rate: zeros([]) }),
  initState: (_, input) => zeros((input as Tensor).shape),
  step: () => (state, input) => {
    const next = tanh(add(state as Tensor, input as Tensor));
    return [next, next];
  },
};

Deno.test("cells and functions of one's own are handed in at load", () => {
  const layer = sequential([rnn(leakyCell)]);
  const bytes = saveCheckpoint({ model: layer, variables: init(layer, key(0), spec([null, null, 3])) });
  assertThrows(() => loadCheckpoint(bytes), SyntaxError, "{ cells: { leakyCell: (options) => … } }");
  assertEquals(loadCheckpoint(bytes, { cells: { leakyCell: () => leakyCell } }).model.type, "sequential");
  const x = input([3]);
  const twice = model({
    inputs: x,
    outputs: apply(function doubled(y: Tensor) {
      return add(y, y);
    }, call(dense({ units: 1 }), x)),
  });
  const graph = saveCheckpoint({ model: twice, variables: init(twice, key(0), spec([null, 3])) });
  assertThrows(
    () => loadCheckpoint(graph),
    SyntaxError,
    "give it: fromJson(json, { functions: { doubled } })",
  );
  const read = loadCheckpoint(graph, { functions: { doubled: (y) => add(y, y) } });
  assertEquals(read.model.type, "model");
});

Deno.test("what cannot be saved is refused by name", () => {
  const layer = dense({ units: 2, activation: (x) => x, name: "mine" });
  const variables = init(layer, key(0), spec([null, 3]));
  assertThrows(() => saveCheckpoint({ model: layer, variables }), TypeError, "Cannot save dense mine");
  const plain = dense({ units: 2 });
  assertThrows(
    () => saveCheckpoint({ model: plain, variables, metadata: { model: "" } }),
    RangeError,
    "Cannot write the metadata model",
  );
  const misspelt = { model: plain, variables, optimiserState: {} };
  assertThrows(() => saveCheckpoint(misspelt), RangeError, 'did you mean "optimizerState"?');
});

/** A checkpoint of a dense layer with some of its metadata changed. */
function changed(changes: Record<string, string | undefined>, tree?: { [key: string]: Tensor }): Uint8Array {
  const layer: Layer = dense({ units: 2 });
  const variables: Variables = init(layer, key(0), spec([null, 3]));
  const { tensors, metadata } = decodeSafetensors(saveCheckpoint({ model: layer, variables }));
  const names = { "params": { bias: tensors["params/bias"], kernel: tensors["params/kernel"] } };
  const all = Object.fromEntries(
    Object.entries({ ...metadata, ...changes }).filter((entry): entry is [string, string] =>
      entry[1] !== undefined
    ),
  );
  return encodeSafetensors(tree ?? names, { metadata: all });
}

Deno.test("a file that is no checkpoint, or a changed one, is refused with the place", () => {
  const refused = (bytes: Uint8Array, reason: string) => {
    const { message } = assertThrows(() => loadCheckpoint(bytes), SyntaxError, reason);
    assertEquals(message.startsWith("Cannot read the checkpoint: "), true);
  };
  refused(encodeSafetensors({}), 'its format is "none"');
  refused(changed({ version: "2" }), 'version "2", expected "cellfold", version "1"');
  refused(changed({ model: undefined }), "its metadata have no model");
  refused(changed({ model: "{" }), "its model is no JSON");
  refused(changed({ model: `{"type":"dens"}` }), 'did you mean "dense"?');
  refused(changed({ model: `{"type":"rnn","options":{}}` }), "its model cannot be made");
  const manyLayers = Array.from({ length: 1e5 }, () => ({ type: "flatten" }));
  refused(
    changed({ model: JSON.stringify({ type: "sequential", options: { layers: manyLayers } }) }),
    "its model has more than 100000 values",
  );
  const deep = `${`{"type":"sequential","options":{"layers":[`.repeat(1e5)}${"]}}".repeat(1e5)}`;
  refused(changed({ model: deep }), "nested more than 256 deep");
  refused(changed({ structure: `${"[".repeat(1e6)}${"]".repeat(1e6)}` }), "nested more than 256 deep");
  refused(changed({ structure: `{"params":{},"state":[]}` }), 'leaves out the tensor "params/bias"');
  const one = (structure: string) => changed({ structure }, { x: zeros([1]) });
  refused(
    one(`{"params":["x","x"],"state":[]}`),
    'names the tensor "x", which is not there or was named before',
  );
  refused(one(`{"params":"x","state":3}`), "has 3 where a tensor's name is expected");
  refused(one(`{"params":"x"}`), "has no params and state");
  refused(one(`"x"`), "has no params and state");
  refused(one(`{"params":{"dtype":"x","shape":[]},"state":[]}`), "the keys dtype and shape");
  refused(one(`{"params":[],"state":[],"optimizerState":["x"]}`), "optimizerState has no step");
  const stacked = changed({
    model: JSON.stringify({
      type: "sequential",
      options: { layers: [{ type: "dense", options: { units: 1 } }] },
    }),
  });
  refused(stacked, "its params are not those of its model");
});
