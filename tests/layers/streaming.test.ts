import {
  at,
  batchNormalization,
  bidirectional,
  concat,
  dense,
  gru,
  lstm,
  sequential,
  spec,
  streaming,
  type Tensor,
  treeLeaves,
} from "@cellfold/cellfold";
import { sliceAxis } from "@cellfold/cellfold/internal";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertClose, random, run, single, variablesOf } from "./helpers.ts";

const x = random(1, [2, 6, 3]);
const chunks = [sliceAxis(x, 1, 0, 1), sliceAxis(x, 1, 1, 3), sliceAxis(x, 1, 4, 2)];
const model = sequential([
  lstm({ units: 4, returnSequences: true }),
  batchNormalization(),
  gru({ units: 3, returnSequences: true, stateful: false }),
  dense({ units: 2 }),
]);

Deno.test("chunks through a stream are the whole sequence, whatever the flags are", async () => {
  const variables = variablesOf(model, x);
  using stream = streaming(model, variables, { batch: 2 });
  // Calls that are made at once run in order.
  const outputs = await Promise.all(chunks.map((chunk) => stream.push(chunk)));
  assertClose(concat(outputs.map(single), { axis: 1 }), run(model, variables, x), 1e-6);
});

Deno.test("steps through a stream are the steps of the sequence", async () => {
  const variables = variablesOf(model, x);
  const whole = single(run(model, variables, x));
  using stream = streaming(model, variables, { batch: 2 });
  await stream.push(chunks[0]);
  for (let t = 1; t < 6; t++) {
    assertClose(await stream.step(at(x, t, { axis: 1 })), at(whole, t, { axis: 1 }), 1e-6);
  }
});

Deno.test("a layer without sequences gives the last output so far", async () => {
  const layer = lstm({ units: 4 });
  const variables = variablesOf(layer, x);
  using stream = streaming(layer, variables, { batch: 2 });
  await stream.push(chunks[0]);
  assertClose(await stream.push(chunks[1]), run(layer, variables, sliceAxis(x, 1, 0, 4)), 1e-6);
  assertClose(await stream.step(at(x, 4, { axis: 1 })), run(layer, variables, sliceAxis(x, 1, 0, 5)), 1e-6);
});

Deno.test("a reset begins anew, for the calls after it", async () => {
  const layer = gru({ units: 4 });
  const variables = variablesOf(layer, x);
  using stream = streaming(layer, variables, { batch: 2, input: spec([null, null, 3]) });
  assertEquals(treeLeaves<Tensor>(stream.state).map(({ shape }) => shape), [[2, 4]]);
  const before = stream.push(chunks[1]);
  stream.reset();
  const after = stream.push(chunks[2]);
  assertClose(await before, run(layer, variables, chunks[1]), 1e-6);
  assertClose(await after, run(layer, variables, chunks[2]), 1e-6);
  assertClose(stream.state, { carry: run(layer, variables, chunks[2]) }, 1e-6);
});

Deno.test("the batch of a stream is that of the specs of its input", async () => {
  const layer = lstm({ units: 4, returnSequences: true });
  const variables = variablesOf(layer, x);
  using stream = streaming(layer, variables, { input: spec([x.shape[0], null, 3]) });
  assertEquals(treeLeaves<Tensor>(stream.state).map(({ shape }) => shape[0]), [x.shape[0], x.shape[0]]);
  assertClose(await stream.push(x), run(layer, variables, x), 1e-6);
});

Deno.test("a stream refuses what it cannot feed", async () => {
  const layer = lstm({ units: 4 });
  const variables = variablesOf(layer, x);
  const both = bidirectional(layer);
  assertThrows(() => streaming(both, variables), TypeError, "Cannot feed bidirectional in chunks");
  const backwards = lstm({ units: 4, goBackwards: true, name: "back" });
  assertThrows(() => streaming(backwards, variables), TypeError, "Cannot feed lstm back in chunks");
  assertThrows(() => streaming(layer, variables, { batch: 0 }), RangeError, "batch is 0");
  const input = spec([2, null, 3]);
  assertThrows(
    () => streaming(layer, variables, { batch: 3, input }),
    RangeError,
    "Cannot stream: batch is 3, but input is float32[2, ",
  );
  using stream = streaming(layer, variables);
  assertThrows(() => stream.state, Error, "nothing was pushed yet");
  await assertRejects(() => stream.push(x), RangeError, "Cannot use lstm with a batch of 2");
  await assertRejects(() => stream.push(x), RangeError, "open the stream with the option batch");
  assertClose(
    await stream.push(sliceAxis(x, 0, 0, 1)),
    run(layer, variables, sliceAxis(x, 0, 0, 1)),
    1e-6,
  ); // an error does not end the stream
});
