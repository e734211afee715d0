/** Streams of one model share what does not belong to one of them, and none sees another. */
import { assert, assertEquals } from "@std/assert";
import {
  add,
  compile,
  type Device,
  gru,
  host,
  init,
  key,
  lstm,
  predict,
  sequential,
  spec,
  streaming,
  type Tensor,
  tensor,
  type Tree,
  treeLeaves,
} from "@cellfold/cellfold";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { eventually } from "../support/eventually.ts";
import { random } from "./helpers.ts";

const model = sequential([
  lstm({ units: 5, returnSequences: true }),
  gru({ units: 4, returnSequences: true }),
]);
const input = spec([1, null, 3]);
const variables = init(model, key(0), input);
const x = random(1, [1, 3]);
const valuesOf = (tree: Tree<Tensor>) => treeLeaves<Tensor>(tree).map((leaf) => [...host(leaf).data]);

/** How many bytes of a wasm device are in use. */
async function meter(device: Device): Promise<() => number> {
  const probe = compile((x: Tensor) => add(x, 1), { device });
  await probe(tensor(0));
  return () => Number(probe.explain().match(/(\d+) bytes of its memory in use/)?.[1]);
}

Deno.test("a state that is written to after it was read is not where other streams begin", async () => {
  using first = streaming(model, variables, { input, device: "wasm" });
  const zeros = valuesOf(first.state);
  for (const leaf of treeLeaves<Tensor>(first.state)) host(leaf).data.fill(7);
  assertEquals(valuesOf(first.state), zeros);
  using second = streaming(model, variables, { input, device: "wasm" });
  assertEquals(valuesOf(second.state), zeros);
  assertEquals(valuesOf(await first.step(x)), valuesOf(await second.step(x)));
  using third = streaming(model, variables, { device: "wasm" });
  assertEquals(valuesOf(await third.step(x)), valuesOf((second.reset(), await second.step(x))));
});

Deno.test("streams open, go on and are disposed of in any order, and leave nothing on the device", async () => {
  const device: Device = { name: "wasm", threads: 1, shareFrom: 7003 };
  const used = await meter(device);
  const before = used();
  using alone = streaming(model, variables, { device: "reference" });
  const expected: number[][][] = [];
  for (let step = 0; step < 8; step++) expected.push(valuesOf(await alone.step(x)));
  const open: { readonly stream: ReturnType<typeof streaming>; steps: number }[] = [];
  const sizes: number[] = [];
  const go = async (at: number) => {
    const got = valuesOf(await open[at].stream.step(x));
    const wanted = expected[open[at].steps++];
    got.forEach((row, leaf) =>
      row.forEach((value, i) =>
        assert(Math.abs(value - wanted[leaf][i]) < 1e-5, `${value} ${wanted[leaf][i]}`)
      )
    );
  };
  const openOne = async () => {
    open.push({ stream: streaming(model, variables, { device }), steps: 0 });
    await go(open.length - 1);
    sizes.push(used());
  };
  for (let count = 0; count < 4; count++) await openOne();
  const each = sizes[1] - sizes[0];
  assert(each > 0 && each < sizes[0] - before, "the first has the weights and the code");
  assertEquals([sizes[2] - sizes[1], sizes[3] - sizes[2]], [each, each]);
  for (const at of [2, 0, 3, 1, 1, 0]) await go(at);
  const [gone] = open.splice(0, 1); // what the others use stays
  gone.stream[Symbol.dispose]();
  for (const at of [1, 0, 2]) await go(at);
  await openOne();
  assertEquals(used(), sizes[3]);
  for (const { stream } of open.splice(0)) stream[Symbol.dispose]();
  assertEquals(used(), before);
  await openOne(); // compiled anew
  open[0].stream[Symbol.dispose]();
  assertEquals(used(), before);
});

Deno.test("streams that are dropped without being disposed of leave nothing, nor does predict", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void; // there since the flag is set
  const device: Device = { name: "wasm", threads: 1, shareFrom: 7004 };
  const used = await meter(device);
  const before = used();
  const drop = async () => {
    const layer = gru({ units: 5, returnSequences: true });
    for (let seed = 0; seed < 3; seed++) {
      const own = init(layer, key(seed), input);
      for (let count = 0; count < 3; count++) {
        await streaming(layer, own, { device }).step(x);
        await predict(layer, own, random(1, [1, 4, 3]), { device });
      }
    }
    return used();
  };
  assert(await drop() > before);
  const collected = () => {
    collect();
    return used();
  };
  assertEquals(await eventually(collected, before), before);
});

Deno.test("streams of other params, batches, states and devices share nothing that differs", async () => {
  const other = init(model, key(1), input);
  const wide = random(2, [2, 3]);
  using a = streaming(model, variables, { device: "wasm" });
  using b = streaming(model, other, { device: "wasm" });
  using c = streaming(model, variables, { batch: 2, device: "wasm" });
  await a.step(x);
  using d = streaming(model, { ...variables, state: a.state }, { device: "wasm" });
  using e = streaming(model, variables, { device: "reference" });
  const second = valuesOf(await a.step(x));
  assertEquals(valuesOf(await d.step(x)), second);
  const [mine, others] = [valuesOf(await b.step(x)), valuesOf(await e.step(x))];
  assert(Math.abs(mine[0][0] - others[0][0]) > 1e-4);
  assertEquals(host(await c.step(wide) as Tensor).shape, [2, 4]);
  d.reset();
  const again = valuesOf(await d.step(x));
  again[0].forEach((value, i) => assert(Math.abs(value - others[0][i]) < 1e-5));
});
