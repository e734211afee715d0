/** Sessions that join and leave and are stepped together: each gets what a stream of its own gives. */
import * as cf from "@cellfold/cellfold";
import type { HostTensor, Layer, Tensor, Tree } from "@cellfold/cellfold";
import type { StreamsSession } from "@cellfold/cellfold/internal";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertClose, random, single } from "./helpers.ts";
import { drawer, predict } from "./streamed.ts";

const masked = () =>
  cf.sequential([
    cf.masking(),
    cf.lstm({ units: 3, returnSequences: true }),
    cf.batchNormalization(),
    cf.gru({ units: 2, returnSequences: true }),
  ]);

/** A batch of rows, of which these are given. */
function rows(capacity: number, features: number, given: ReadonlyMap<number, Tensor>, others = NaN): Tensor {
  const data = new Float32Array(capacity * features).fill(others);
  for (const [slot, row] of given) data.set((row as HostTensor).data, slot * features);
  return cf.hostTensor(data, [capacity, features]);
}

const row = (batch: Tree<Tensor>, slot: number) => cf.at(single(batch), slot, { axis: 0 });

for (const device of ["reference", "wasm", "webgpu"] as const) {
  Deno.test({
    name: `sessions come and go at random, and each gives what predict gives: ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    fn: async () => {
      const model = masked();
      const input = cf.spec([1, null, 3]);
      const variables = cf.init(model, cf.key(5), input);
      const capacity = 3;
      using together = cf.streams(model, variables, { capacity, device });
      const seed = 11, draw = drawer(seed);
      interface Visitor {
        readonly session: StreamsSession;
        readonly x: Tensor;
        readonly whole: Tensor;
        at: number;
      }
      const visitors: Visitor[] = [];
      let visits = 0;
      for (let turn = 0; turn < (device === "webgpu" ? 12 : 40); turn++) {
        if (visitors.length < capacity && draw(2) === 0) {
          const x = cf.mul(
            random(++visits, [1, 9, 3]),
            cf.tensor([1, 1, 0, 1, 0, 1, 1, 0, 1].map((m) => [m])),
          );
          visitors.push({ session: together.join(), x, whole: await predict(model, variables, x), at: 0 });
        }
        const part = visitors.filter(() => draw(3) > 0);
        const given = new Map(part.map(({ session, x, at }) => [session.slot, cf.at(x, at, { axis: 1 })]));
        const output = await together.step(rows(capacity, 3, given), {
          sessions: part.map(({ session }) => session),
        });
        for (const visitor of part) {
          const expected = cf.at(cf.at(visitor.whole, visitor.at++, { axis: 1 }), 0, { axis: 0 });
          assertClose(row(output, visitor.session.slot), expected, 1e-5);
        }
        for (let slot = 0; slot < capacity; slot++) {
          if (!given.has(slot)) assertEquals([...(row(output, slot) as HostTensor).data], [0, 0]);
        }
        for (const visitor of visitors.filter(({ at }) => at === 9 || draw(12) === 0)) {
          visitor.session.leave();
          visitors.splice(visitors.indexOf(visitor), 1);
        }
      }
      assert(visits > 3, `with seed ${seed} ${visits} sessions came`);
      assertEquals(together.sessions, visitors.map(({ session }) => session).sort((a, b) => a.slot - b.slot));
    },
  });
}

Deno.test("a state goes from a stream to a session, from it to another slot, and back", async () => {
  const model = masked();
  const input = cf.spec([1, null, 3]);
  const variables = cf.init(model, cf.key(5), input);
  const x = random(3, [1, 6, 3]);
  const step = (t: number) => cf.at(x, t, { axis: 1 });
  const whole = await predict(model, variables, x);
  using stream = cf.streaming(model, variables, { device: "wasm" });
  await stream.step(step(0));
  using together = cf.streams(model, variables, { capacity: 4, input, device: "wasm" });
  const other = together.join();
  const session = together.join(stream.state);
  assertEquals(session.state, stream.state);
  const first = other.state;
  const all = await together.step(rows(4, 3, new Map([[0, step(0)], [1, step(1)]]), 0));
  assertClose(row(all, 0), cf.at(cf.at(whole, 0, { axis: 1 }), 0, { axis: 0 }), 1e-6);
  assertClose(row(all, 1), cf.at(cf.at(whole, 1, { axis: 1 }), 0, { axis: 0 }), 1e-6);
  const { state } = session;
  session.leave();
  assertThrows(() => session.state, Error, "it left");
  assertThrows(() => session.leave(), Error, "it left");
  await assertRejects(() => together.step(cf.zeros([4, 3]), { sessions: [session] }), Error, "it left");
  const again = together.join(state);
  assertEquals(again.slot, 1);
  other.state = first;
  const more = await together.step(rows(4, 3, new Map([[0, step(0)], [1, step(2)]]), 0));
  assertEquals(row(more, 0), row(all, 0));
  assertClose(row(more, 1), cf.at(cf.at(whole, 2, { axis: 1 }), 0, { axis: 0 }), 1e-6);
  using last = cf.streaming(model, { ...variables, state: again.state }, { device: "wasm" });
  assertClose(await last.step(step(3)), cf.at(whole, 3, { axis: 1 }), 1e-6);
});

Deno.test("steps that wait see the sessions as they were when they were asked for", async () => {
  const layer = cf.gru({ units: 2, returnSequences: true });
  const input = cf.spec([1, null, 2]);
  const variables = cf.init(layer, cf.key(1), input);
  for (const device of ["wasm", "reference"] as const) {
    using together = cf.streams(layer, variables, { capacity: 2, device });
    const x = random(1, [2, 2]), fresh = together.join();
    const first = together.step(x); // compiles, so all that follows waits
    const second = together.step(x);
    fresh.leave();
    const next = together.join(); // in the same slot
    const third = together.step(x);
    assertEquals(next.slot, 0);
    const [a, b, c] = await Promise.all([first, second, third]);
    assertEquals(row(a, 0), row(c, 0));
    assert((row(b, 0) as HostTensor).data[0] !== (row(a, 0) as HostTensor).data[0]);
    assertThrows(
      () => cf.streams(layer, variables, { capacity: 1 }).join().state,
      Error,
      "give options.input",
    );
  }
});

Deno.test("a model of many inputs steps its sessions, and sessions begin with a given carry", async () => {
  const x = cf.input([null, 2], { name: "x" }), shift = cf.input([2], { name: "shift" });
  const h = cf.call(cf.lstm({ units: 2, returnSequences: true }), x);
  const model = cf.model({
    inputs: { x, shift },
    outputs: cf.apply((h, s) => cf.add(h, cf.expandDims(s, 1)), h, shift),
  });
  const input = { x: cf.spec([1, null, 2]), shift: cf.spec([1, 2]) };
  const variables = cf.init(model, cf.key(3), input);
  using stream = cf.streaming(model, variables);
  const given = { x: random(1, [1, 2]), shift: random(2, [1, 2]) };
  await stream.step(given);
  using together = cf.streams(model, { ...variables, state: stream.state }, { capacity: 2 });
  together.join();
  together.join();
  const twice = (x: Tensor) => cf.concat([x, x], { axis: 0 });
  const output = await together.step({ x: twice(given.x), shift: twice(given.shift) });
  const expected = single(await stream.step(given));
  for (const slot of [0, 1]) assertClose(row(output, slot), cf.at(expected, 0, { axis: 0 }), 1e-6);
});

Deno.test("what sessions cannot do is refused by name", async () => {
  const model = masked();
  const input = cf.spec([1, null, 3]);
  const variables = cf.init(model, cf.key(5), input);
  const open = (options = {}) => cf.streams(model, variables, { capacity: 2, device: "wasm", ...options });
  using together = open({ input });
  const { state } = together.join();
  const [, lstm, norm, gru] = state as [
    Tree<Tensor>,
    { carry: Tensor[] },
    { movingMean: Tensor },
    Tree<Tensor>,
  ];
  for (const sessions of [3, {}, null]) {
    await assertRejects(
      () => together.step(cf.zeros([2, 3]), { sessions: sessions as unknown as [] }),
      TypeError,
      "expected an iterable of sessions",
    );
  }
  const wrong: readonly [unknown, string][] = [
    [[[], lstm, norm], "state.3: current value is missing"],
    [[[], { ...lstm, carry: [cf.zeros([2, 3]), cf.zeros([2, 3])] }, norm, gru], "state.1.carry.0"],
    [[[], lstm, { ...norm, movingMean: cf.ones([3]) }, gru], "state[2].movingMean: its values are others"],
  ];
  for (const [state, message] of wrong) {
    assertThrows(() => together.join(state as Tree<Tensor>), TypeError, message);
    using late = open();
    const session = late.join(state as Tree<Tensor>);
    await assertRejects(() => late.step(cf.zeros([2, 3])), TypeError, message);
    session.leave(); // what is wrong goes with it
    await late.step(cf.zeros([2, 3]));
  }
  assertEquals(together.sessions.length, 1); // nobody came in
  together.join();
  assertThrows(() => together.join(), RangeError, "all 2 slots are taken");
  await assertRejects(() => together.step(cf.zeros([3, 3])), RangeError, "expected 2 rows");
  await assertRejects(() => together.step(cf.zeros([2, 4])), TypeError, "Cannot use lstm");
  using others = open();
  await assertRejects(
    () => together.step(cf.zeros([2, 3]), { sessions: [others.join()] }),
    Error,
    "one of others",
  );
  using unknown = open(); // the state of its session cannot be read yet, and an error does not try to
  const one = unknown.join();
  await assertRejects(
    () => unknown.step(cf.zeros([2, 3]), { sessions: one as unknown as [] }),
    TypeError,
    "options.sessions is an object with the keys {leave, slot, state}, expected an iterable of sessions",
  );
  assertThrows(() => open({ capacity: 0 }), RangeError, "capacity");
  const both = cf.bidirectional(cf.lstm({ units: 2, returnSequences: true }));
  assertThrows(
    () => cf.streams(both, cf.init(both, cf.key(0), input), { capacity: 2, input }),
    TypeError,
    "bidirectional",
  );
  together[Symbol.dispose]();
  await assertRejects(() => together.step(cf.zeros([2, 3])), Error, "disposed");
  assertThrows(() => together.join(), Error, "disposed");
});

Deno.test("a carry without a row for each sequence is refused", () => {
  const cell: cf.RecurrentCell<[], { count: Tensor }, Tensor, Tensor> = {
    type: "counting",
    options: {},
    initParams: () => [],
    initState: () => ({ count: cf.zeros([1]) }),
    step: () => ({ count }, x) => [cf.add(x, count), { count: cf.add(count, 1) }],
  };
  const counting: Layer = cf.rnn(cell, { returnSequences: true });
  assertThrows(
    () => cf.streams(counting, { params: [], state: [] }, { capacity: 2, input: cf.spec([1, null, 3]) }),
    TypeError,
    "expected a row for each on its first axis",
  );
});

Deno.test("streams of more sessions than memory can have are refused, with what they would take", () => {
  const layer = cf.lstm({ units: 64 });
  const input = cf.spec([null, null, 3]);
  const variables = cf.init(layer, cf.key(0), input);
  const open = (capacity: number) => cf.streams(layer, variables, { capacity, input, device: "wasm" });
  assertThrows(() => open(2 ** 24), RangeError, "a capacity of 16777216 needs 8192 MiB for the states");
  for (const most of [1e9, 1e10]) assertThrows(() => open(most), RangeError, `capacity is ${most}`);
});

Deno.test("sessions that one computes from another are refused, naming what does it", async () => {
  const mixing: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    centered: (x) => cf.sub(x, cf.mean(x, { axes: 0, keepDims: true })),
    shares: (x) => cf.softmax(x, { axis: 0 }),
    ranks: (x) => cf.add(x, cf.cast(cf.iota(x.shape, { axis: 0 }), "float32")),
    leader: (x) => cf.mul(x, cf.at(x, 0, { axis: 0 })),
    backwards: (x) => cf.reverse(x, 0),
    queue: (x) => { // a scan over the sessions
      const turned = cf.transpose(x, { permutation: [1, 0, 2] });
      const [sums] = cf.scan(
        (sum: Tensor, x: Tensor) => [cf.add(sum, x), cf.add(sum, x)],
        cf.mul(cf.at(turned, 0, { axis: 1 }), 0),
        turned,
      );
      return cf.transpose(sums, { permutation: [1, 0, 2] });
    },
  };
  const input = cf.spec([null, null, 4]);
  for (const [name, mix] of Object.entries(mixing)) {
    const x = cf.input([null, 4]);
    const h = (x: cf.Node) => cf.call(cf.gru({ units: 4, returnSequences: true }), x);
    for (const outputs of [h(cf.apply(mix, x)), cf.apply(mix, h(x))]) {
      const model = cf.model({ inputs: x, outputs });
      const variables = cf.init(model, cf.key(0), input);
      assertThrows(
        () => cf.streams(model, variables, { capacity: 3, input }),
        TypeError,
        `in ${name} of model), as a mean over the batch does`,
      );
      using later = cf.streams(model, variables, { capacity: 3 });
      later.join();
      await assertRejects(() => later.step(cf.ones([3, 4])), TypeError, "use a stream for each session");
      using alone = cf.streaming(model, variables, { batch: 3, device: "reference" });
      assertEquals(single(await alone.step(cf.ones([3, 4]))).shape, [3, 4]);
    }
  }
});

Deno.test("sessions of a cell that scans in its step are those of streams of their own", async () => {
  const settling: cf.RecurrentCell<readonly [], Tensor, Tensor, Tensor> = {
    type: "settling",
    options: {},
    initParams: () => [],
    initState: (_, { shape: [batch, features] }) => cf.zeros([batch, features]),
    step: () => (h, x) => {
      const [, next] = cf.scan((h: Tensor, _: readonly []) => [h, cf.tanh(cf.add(h, x))], h, [], {
        length: 3,
      });
      return [next, next];
    },
  };
  const layer = cf.rnn(settling, { returnSequences: true });
  const input = cf.spec([1, null, 2]);
  const variables = cf.init(layer, cf.key(0), input);
  using together = cf.streams(layer, variables, { capacity: 2, input, device: "reference" });
  using alone = cf.streaming(layer, variables, { device: "reference" });
  together.join();
  const session = together.join();
  for (let step = 0; step < 3; step++) {
    const given = random(step, [1, 2]);
    const output = await together.step(rows(2, 2, new Map([[1, given]])), { sessions: [session] });
    assertClose(row(output, 1), cf.at(single(await alone.step(given)), 0, { axis: 0 }));
  }
});

Deno.test("what computes sequences apart in a roundabout way is not refused", async () => {
  const apart: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    flat: (x) => cf.reshape(cf.mul(cf.reshape(x, [-1, 4]), 2), x.shape),
    turned: (x) => cf.transpose(cf.tanh(cf.transpose(x)), {}),
    products: (x) => cf.einsum("btf,btg->btf", x, x),
    chosen: (x) => cf.cast(cf.argmax(x, { axis: -1 }), "float32"),
  };
  for (const fn of Object.values(apart)) {
    const x = cf.input([null, 4]);
    const model = cf.model({
      inputs: x,
      outputs: cf.apply(fn, cf.call(cf.gru({ units: 4, returnSequences: true }), x)),
    });
    const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
    using together = cf.streams(model, variables, { capacity: 2, device: "reference" });
    using alone = cf.streaming(model, variables, { device: "reference" });
    together.join();
    const session = together.join();
    for (let step = 0; step < 3; step++) {
      const given = random(step, [1, 4]);
      const output = await together.step(rows(2, 4, new Map([[1, given]])), { sessions: [session] });
      assertClose(row(output, 1), cf.at(single(await alone.step(given)), 0, { axis: 0 }));
    }
  }
});
