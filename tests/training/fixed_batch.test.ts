/** Models whose inputs are declared with a batch: their data is cut into batches of that size. */
import {
  add,
  apply,
  call,
  dense,
  embedding,
  evaluate,
  fit,
  init,
  input,
  key,
  lstm,
  mean,
  model,
  normal,
  predict,
  sequential,
  spec,
  streaming,
  sub,
  tensor,
  timeDistributed,
  toNested,
} from "@cellfold/cellfold";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";

const quiet = { loss: "mse", optimizer: "sgd", report: "none", device: "wasm" } as const;

Deno.test("predict, evaluate and fit: batches have the size that a graph's inputs are declared with", async () => {
  const x = input(spec([2, null, 3]));
  const h = call(lstm({ units: 2 }), x);
  const centered = apply(function centered(h) {
    return sub(h, mean(h, { axes: 0, keepDims: true })); // over the batch, so its size matters
  }, h);
  const graph = model({ inputs: x, outputs: call(dense({ units: 1 }), centered) });
  const variables = init(graph, key(0), spec([2, null, 3]));
  const [inputs, targets] = [normal(key(1), [6, 4, 3]), normal(key(2), [6, 1])];
  for (const layer of [graph, sequential([graph])]) {
    const own = layer === graph ? variables : { params: [variables.params], state: [variables.state] };
    const whole = await predict(layer, own, inputs, { device: "wasm" });
    assertEquals(
      toNested(whole),
      toNested(await predict(layer, own, inputs, { device: "wasm", batchSize: 2 })),
    );
    await evaluate(layer, own, { x: inputs, y: targets }, { loss: "mse", device: "wasm" });
    await fit(layer, own, { x: inputs, y: targets }, quiet);
    const batch = "its inputs are declared with a batch of 2; give batchSize 2";
    await assertRejects(() => predict(layer, own, inputs, { batchSize: 3 }), RangeError, batch);
    await assertRejects(
      () => fit(layer, own, { x: inputs, y: targets }, { ...quiet, batchSize: 6 }),
      RangeError,
      batch,
    );
    await assertRejects(() => predict(layer, own, normal(key(1), [5, 4, 3])), RangeError, "1 samples remain");
  }
});

Deno.test("a stateful graph goes over several batches, and tokens are checked in all of them", async () => {
  const tokens = input(spec([2, null], "int32"));
  const shifted = apply(function next(x) {
    return add(x, tensor(1, { dtype: "int32" }));
  }, tokens);
  const e = call(embedding({ inputDim: 5, outputDim: 2 }), shifted);
  const graph = model({ inputs: tokens, outputs: call(lstm({ units: 2, stateful: true }), e) });
  const variables = init(graph, key(0), spec([2, null], "int32"));
  const rows = (last: number) => tensor([[0, 1, 2], [3, 0, 1], [2, 2, 2], [1, 3, last]], { dtype: "int32" });
  const output = await predict(graph, variables, rows(0), { device: "wasm" });
  assertEquals(output.shape, [4, 2]);
  const data = { x: rows(0), y: normal(key(2), [4, 2]) };
  await fit(graph, variables, data, quiet);
  const direct = model({ inputs: tokens, outputs: call(embedding({ inputDim: 5, outputDim: 2 }), tokens) });
  const own = init(direct, key(0), spec([2, null], "int32"));
  await assertRejects(() => predict(direct, own, rows(7)), RangeError, "7");
  using stream = streaming(graph, variables, { batch: 2, device: "wasm" });
  await stream.push(tensor([[1, 2], [0, 3]], { dtype: "int32" }));
});

Deno.test("timeDistributed refuses what is stateful, also inside", () => {
  const stateful = lstm({ units: 2, stateful: true });
  for (const layer of [stateful, sequential([dense({ units: 2 }), stateful])]) {
    assertThrows(() => timeDistributed(layer), TypeError, "which is stateful");
  }
});
