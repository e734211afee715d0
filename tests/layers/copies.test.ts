/** A layer is its data: what a copy of one changes acts, or is refused. */
import * as cf from "@cellfold/cellfold";
import type { Layer, Tensor, Tree, Variables } from "@cellfold/cellfold";
import type { AnyCell } from "../../src/cells/cell.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type Example, factories, inputOf, sequence } from "./factories.ts";
import { assertClose, parts, random, run, single, variablesOf } from "./helpers.ts";

const quiet = { loss: "mse", report: "none", device: "wasm", shuffle: false } as const;

/** The layer under a head that is trained, so that there always is something to train. */
function withHead(layer: Layer): Layer {
  return cf.sequential([layer, cf.flatten(), cf.dense({ units: 1 })]);
}

const valuesOf = (tree: Tree<Tensor>) => cf.treeLeaves<Tensor>(tree).map((leaf) => [...cf.host(leaf).data]);

/** Variables of the layer before and after two steps. */
async function trained(layer: Layer, example: Example): Promise<readonly [Variables, Variables]> {
  const x = inputOf(example);
  const model = withHead(layer);
  const batchSize = Number(x.shape[0]);
  const before = cf.init(model, cf.key(2), cf.spec(x.shape as number[], x.dtype));
  const data = { x, y: random(3, [batchSize, 1]) };
  const optimizer = cf.sgd({ learningRate: 0.5 });
  const { variables } = await cf.fit(model, before, data, { ...quiet, optimizer, batchSize, epochs: 2 });
  const of = ({ params, state }: Variables): Variables => ({
    params: parts(params)[0],
    state: parts(state)[0],
  });
  return [of(before), of(variables)];
}

/** State without what a stateful layer carries, which changes also where a layer is frozen. */
const statistics = (state: Tree<Tensor>) => "carry" in state ? [] : valuesOf(state);

for (const [name, example] of Object.entries(factories)) {
  Deno.test(`a frozen copy of ${name} is not trained, says so as JSON, and thaws`, async () => {
    const layer = example.make();
    const frozen = { ...layer, trainable: false };
    const saved = JSON.stringify(cf.toJson(frozen));
    const loaded = cf.fromJson(JSON.parse(saved));
    for (const still of [frozen, loaded, { ...cf.sequential([layer]), trainable: false }]) {
      const [before, after] = await trained(still, example);
      assertEquals(valuesOf(after.params), valuesOf(before.params));
      if (still !== frozen && still !== loaded) continue;
      assertEquals(statistics(after.state), statistics(before.state));
      assert(still.trainableLeaves(before.params).every((trains) => !trains));
    }
    assertEquals(JSON.parse(saved).trainable, false);
    for (const thawed of [{ ...frozen, trainable: true }, { ...loaded, trainable: true }, layer]) {
      const [before, after] = await trained(thawed, example);
      if (cf.treeLeaves(before.params).length === 0) continue;
      assert(JSON.stringify(valuesOf(after.params)) !== JSON.stringify(valuesOf(before.params)), name);
    }
  });

  Deno.test(`a copy of ${name} under another name has it in errors, JSON and models`, () => {
    const layer = example.make();
    const renamed = { ...layer, name: "other" };
    const x = inputOf(example);
    const variables = cf.init(renamed, cf.key(0), cf.spec(x.shape as number[], x.dtype));
    assertEquals(valuesOf(run({ ...renamed }, variables, x)), valuesOf(run(layer, variables, x)));
    const wraps = name === "bidirectional" || name === "timeDistributed"; // what they are given, the layer inside checks
    const wrong = () =>
      wraps
        ? renamed.apply(variables, x, { training: false, initialState: x })
        : renamed.apply(variables, { a: x, b: x }, { training: false });
    assertStringIncludes(assertThrows(wrong).message, "other");
    assertEquals((cf.toJson(renamed) as { name: string }).name, "other");
    assertStringIncludes(
      cf.summary(cf.sequential([renamed]), cf.spec(x.shape as number[], x.dtype)),
      "other (",
    );
  });

  Deno.test(`a copy of ${name} with other data is refused wherever it is used`, async () => {
    const layer = example.make();
    const x = inputOf(example);
    const specs = cf.spec(x.shape as number[], x.dtype);
    const variables = cf.init(layer, cf.key(0), specs);
    const copies: Layer[] = [
      { ...layer, type: layer.type === "dense" ? "lstm" : "dense" },
      { ...layer, options: { ...layer.options, units: 17 } },
      { ...layer, ...{ units: 17 } },
      { ...layer, ...{ trainabel: false } },
      { ...layer, layers: [cf.dense({ units: 1 }), cf.dense({ units: 1 })] },
    ];
    for (const copy of copies) {
      const refused = (use: () => unknown) =>
        assertStringIncludes(assertThrows(use, TypeError).message, "copy");
      refused(() => cf.init(copy, cf.key(0), specs));
      refused(() => copy.apply(variables, x, { training: false }));
      refused(() => copy.trainableLeaves(variables.params));
      refused(() => cf.toJson(copy));
      refused(() => cf.summary(copy, specs));
      refused(() => cf.sequential([copy]));
      refused(() => cf.timeDistributed(copy));
      refused(() => cf.call(copy, cf.input(specs)));
      refused(() => cf.streaming(copy, variables));
      await assertRejects(
        () => cf.predict(copy, variables, x, { batchSize: x.shape[0] as number }),
        TypeError,
        "copy",
      );
    }
    const options = layer.options as Record<string, unknown>;
    assertThrows(() => options.units = 17, TypeError);
    assertThrows(() => (layer as { trainable: boolean }).trainable = false, TypeError);
    // A copy that says the same is the same.
    const same = { ...layer, options: { ...layer.options }, layers: layer.layers && [...layer.layers] };
    assertEquals(valuesOf(run(same, variables, x)), valuesOf(run(layer, variables, x)));
  });
}

Deno.test("what a copy was refused for is named, with what to do", () => {
  const message = (use: () => unknown) => assertThrows(use, TypeError).message;
  const x = cf.spec([null, 3, 2]);
  const init = (layer: Layer) => () => cf.init(layer, cf.key(0), x);
  const body = cf.lstm({ units: 4, name: "body" });
  assertEquals(
    message(init({ ...body, options: { ...body.options, units: 8 } })),
    "Cannot use lstm body: units is 8 in a copy, but its functions were made with 4; " +
      "make it anew, as in lstm({ units: 8 })",
  );
  const flags = { ...body, flags: { ...body.flags, returnSequences: true } };
  assertStringIncludes(
    message(init(flags)),
    "returnSequences is true in a copy, but its functions were made with false",
  );
  assertStringIncludes(
    message(init({ ...body, ...{ returnSequences: true } })),
    "as in lstm({ returnSequences: true })",
  );
  assertStringIncludes(message(init({ ...body, ...{ trainabel: false } })), 'did you mean "trainable"?');
  const inherits: Layer = Object.create(body, { options: { value: { ...body.options, units: 8 } } });
  assertStringIncludes(message(init(inherits)), "units is 8 in a copy");
  assertStringIncludes(
    message(() => cf.init({ ...cf.sequential([body]), layers: [cf.dense({ units: 1 })] }, cf.key(0), x)),
    "layers is another in a copy than its functions were made with; make it anew, as in sequential({ … })",
  );
  const reshaped = cf.reshapeLayer({ targetShape: [6] });
  const other = { ...reshaped, options: { targetShape: [3, 2] } };
  assertStringIncludes(message(init(other)), "as in reshapeLayer({ targetShape: [3,2] })");
  const cell = cf.lstmCell({ units: 3 });
  for (
    const use of [(cell: AnyCell) => cf.rnn(cell), (cell: AnyCell) => cf.stackedCells([cell])]
  ) {
    const changed = { ...cell, options: { ...cell.options, dropout: 0.5 } };
    assertStringIncludes(
      message(() => use(changed)),
      "dropout is 0.5 in a copy, but its functions were made with 0",
    );
    assertStringIncludes(message(() => use({ ...cell, ...{ units: 8 } })), "units is 8 in a copy, but");
  }
  assertThrows(() => (cell.options as { units: number }).units = 4, TypeError);
});

Deno.test("what wraps a frozen copy, and what is made of it, stays frozen", () => {
  const body = { ...cf.lstm({ units: 2, returnSequences: true }), trainable: false, name: "body" };
  const x = random(1, sequence);
  for (
    const layer of [
      body.withFlags({ returnState: true }),
      cf.statefulLayer(body),
      cf.statefulLayer({ ...body }),
      cf.bidirectional(body),
      cf.timeDistributed({ ...cf.dense({ units: 2 }), trainable: false }),
      { ...cf.bidirectional(cf.lstm({ units: 2 })), trainable: false },
      cf.sequential([cf.sequential([body]), {
        ...cf.sequential([cf.dense({ units: 1 })]),
        trainable: false,
      }]),
      cf.statefulLayer({ ...cf.sequential([cf.gru({ units: 2 })]), trainable: false }),
      cf.rnn(cf.gruCell({ units: 2 })).withFlags({ returnSequences: true }) && cf.sequential([body]),
    ]
  ) {
    const params = layer.initParams(cf.key(0), cf.spec(sequence));
    assertEquals(layer.trainableLeaves(params), cf.treeLeaves(params).map(() => false));
    const loaded = cf.fromJson(cf.toJson(layer));
    assertEquals(loaded.trainableLeaves(params), cf.treeLeaves(params).map(() => false));
  }
  assertEquals(cf.statefulLayer(body).name, "body");
  assertEquals(body.withFlags({}).trainable, false);
  const norm = { ...cf.timeDistributed(cf.batchNormalization()), trainable: false };
  const variables = cf.init(norm, cf.key(0), x);
  assertEquals(norm.apply(variables, x, { training: true }).state, variables.state);
});

Deno.test("a frozen copy that a graph calls twice is one frozen layer", () => {
  const shared = { ...cf.dense({ units: 3 }), trainable: false };
  const x = cf.input([3]);
  const model = cf.model({ inputs: x, outputs: cf.call(shared, cf.call(shared, x)) });
  assertEquals(model.layers?.length, 1);
  const { params } = cf.init(model, cf.key(0), cf.spec([null, 3]));
  assertEquals(model.trainableLeaves(params), [false, false]);
});

Deno.test("a copy with functions of its own is a layer of its own, and is not saved under the old type", () => {
  const inner = cf.dense({ units: 3 });
  const x = random(1, [2, 3]);
  const doubled: Layer = {
    ...inner,
    apply: (variables, x, context) => {
      const applied = inner.apply(variables, x, context);
      return { ...applied, output: cf.mul(single(applied.output), 2) };
    },
  };
  const variables = variablesOf(inner, x);
  assertClose(run(doubled, variables, x), cf.mul(single(run(inner, variables, x)), 2));
  assertEquals({ ...doubled, trainable: false }.trainableLeaves(variables.params), [false, false]);
  assertStringIncludes(
    assertThrows(() => cf.toJson(doubled), TypeError).message,
    "its apply is a function of your own",
  );
  assertStringIncludes(
    assertThrows(() => cf.toJson(cf.sequential([doubled])), TypeError).message,
    "Cannot save dense",
  );
  const own = { ...doubled, type: "doubled", options: { units: 3 } };
  assertEquals(cf.toJson(own), { type: "doubled", options: { units: 3 } });
  const recurrent = cf.lstm({ units: 2 });
  const scaled: Layer = { ...recurrent, apply: (v, x, c) => recurrent.apply(v, cf.mul(single(x), 2), c) };
  assertThrows(() => cf.statefulLayer(scaled), TypeError, "its apply is a function of your own");
  const cell = cf.gruCell({ units: 2 });
  const ones = cf.rnn({
    ...cell,
    initState: (...args: Parameters<typeof cell.initState>) => cf.add(cell.initState(...args), 1),
  });
  assertThrows(() => cf.toJson(ones), TypeError, "Cannot save gruCell: its initState");
});

Deno.test("functions taken off a layer act as it was made; a layer of any making is frozen by its data", () => {
  const x = random(1, [2, 3]);
  const { initParams, apply } = cf.dense({ units: 3 });
  const params = initParams(cf.key(0), x);
  assertEquals(single(apply({ params, state: [] }, x, { training: false }).output).shape, [2, 3]);
  const own: Layer = {
    type: "own",
    options: {},
    trainable: false,
    initParams: () => [cf.ones([1])],
    initState: () => [],
    apply: ({ state }, input) => ({ output: input, state }),
    trainableLeaves: () => [true],
  };
  assertEquals(cf.countParams(own, cf.init(own, cf.key(0), x)).trainable, 0);
  const around = cf.sequential([own]);
  assertEquals(around.trainableLeaves(cf.init(around, cf.key(0), x).params), [false]);
});

Deno.test("a copy of dot has the name that acts, and is refused with other options", () => {
  const layer = cf.dot({ axes: 1 });
  const x = [random(1, [2, 3]), random(2, [2, 4])];
  const apply = (copy: Layer) => copy.apply({ params: [], state: [] }, x, { training: false });
  assertThrows(() => apply({ ...layer, name: "product" }), TypeError, "dot product");
  assertThrows(() => apply({ ...layer, options: { axes: 2 } }), TypeError, "dot({ axes: 2 })");
});

Deno.test("a copy of merge has the data that acts, and is refused with other options", () => {
  const layer = cf.merge({ method: "add" });
  const copy = { ...layer, name: "sum", trainable: false };
  const saved = cf.toJson(copy);
  assertEquals(saved, cf.toJson(cf.fromJson(saved)));
  const x = random(4, [2, 3]);
  assertThrows(() => copy.apply({ params: [], state: [] }, x, { training: false }), TypeError, "merge sum");
  const { output } = copy.apply({ params: [], state: [] }, [x, x], { training: false });
  assertEquals(valuesOf(output), valuesOf(cf.mul(x, 2)));
  const changed = { ...layer, options: { ...layer.options, method: "multiply" } };
  assertThrows(
    () => changed.apply({ params: [], state: [] }, [x, x], { training: false }),
    TypeError,
    "method",
  );
});
