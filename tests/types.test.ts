/**
 * Types say what values are. A line here fails to compile if the type says less or something else than it did,
 * and fails to run if the value is not what the type says.
 */
import { assert, assertEquals } from "@std/assert";
import {
  add,
  apply,
  bidirectional,
  call,
  compile,
  createTrainer,
  defineLayer,
  dense,
  dropout,
  embedding,
  fromJson,
  gru,
  gruCell,
  type HostTensor,
  init,
  input,
  isTensor,
  key,
  type Layer,
  lstm,
  lstmCell,
  mapTree,
  model,
  mul,
  type Node,
  normal,
  predict,
  rnn,
  sequential,
  simpleRnn,
  type Spec,
  stackedCells,
  streaming,
  type Tensor,
  tensor,
  timeDistributed,
  toHost,
  toJson,
  type Tree,
  type Variables,
  zeros,
} from "@cellfold/cellfold";
import { type AnyCell, type LstmState, specOf, zipTrees } from "@cellfold/cellfold/internal";
import { decodeSafetensors, encodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Gives the value back; compiles only if its type is exactly `Type`. */
function typed<Type>() {
  return <Given>(value: Given, ..._: Same<Type, Given> extends true ? [] : [expected: Type]): Given => value;
}

const x = normal(key(0), [2, 5, 3]);
const context = { training: false };
type WithStates = readonly [output: Tensor, states: readonly [Tensor, Tensor]];
const outputOf = <Output extends Tree<Tensor>>(layer: Layer<Output>, given: Tree<Tensor> = x): Output =>
  layer.apply(init(layer, key(1), given), given, context).output;

Deno.test("typed: another type is an error, a wider one too", () => {
  typed<number>()(1 as number);
  // @ts-expect-error: a number is no text
  typed<string>()(1 as number);
  // @ts-expect-error: it may be more than the type says
  typed<number>()(1 as number | string);
});

Deno.test("layers of one tensor give a tensor", () => {
  assertEquals(typed<Tensor>()(outputOf(dense({ units: 4 }))).shape, [2, 5, 4]);
  assertEquals(typed<Tensor>()(outputOf(dropout({ rate: 0.5 }))).shape, [2, 5, 3]);
  const tokens = tensor([[1, 2]], { dtype: "int32" });
  assertEquals(typed<Tensor>()(outputOf(embedding({ inputDim: 3, outputDim: 4 }), tokens)).shape, [1, 2, 4]);
  typed<Layer<Tensor>>()(timeDistributed(dense({ units: 4 })));
});

Deno.test("a recurrent layer gives its state if returnState says so", () => {
  assertEquals(typed<Tensor>()(outputOf(lstm({ units: 4 }))).shape, [2, 4]);
  assertEquals(typed<Tensor>()(outputOf(gru({ units: 4, returnSequences: true }))).shape, [2, 5, 4]);
  const [y, [h, c]] = outputOf(lstm({ units: 4, returnState: true }));
  assertEquals([y, h, c].map((part) => typed<Tensor>()(part).shape), [[2, 4], [2, 4], [2, 4]]);
  typed<readonly [output: Tensor, state: Tensor]>()(outputOf(simpleRnn({ units: 4, returnState: true })));
  const returnState: boolean = y.shape.length > 1;
  const either = typed<Tensor | readonly [output: Tensor, state: Tensor]>()(
    outputOf(gru({ units: 4, returnState })),
  );
  assert(!isTensor(either));
  const changed = gru({ units: 4 }).withFlags({ returnState: true });
  assertEquals(typed<readonly [output: Tensor, state: Tensor]>()(outputOf(changed))[1].shape, [2, 4]);
  typed<Tensor>()(outputOf(gru({ units: 4 }).withFlags({ goBackwards: true })));
  // @ts-expect-error: without returnState there is no state
  ((): readonly [Tensor, Tensor] => outputOf(gru({ units: 4 })));
});

Deno.test("options are checked when they are written", () => {
  // @ts-expect-error: a flag that is no flag
  (() => lstm({ units: 4, returnStates: true }));
  // @ts-expect-error: a mode that is none
  (() => bidirectional(gru({ units: 4 }), { mergeMode: "add" }));
  // @ts-expect-error: no layer
  (() => sequential([lstmCell({ units: 4 })]));
});

Deno.test("a layer around a cell gives what the cell gives", () => {
  typed<Tensor>()(outputOf(rnn(lstmCell({ units: 4 }))));
  const pair = stackedCells([lstmCell({ units: 4 }), gruCell({ units: 2 })]);
  const [y, [[h], last]] = typed<readonly [output: Tensor, state: readonly [LstmState, Tensor]]>()(
    outputOf(rnn(pair, { returnState: true })),
  );
  assertEquals([y, h, last].map(({ shape }) => shape), [[2, 2], [2, 4], [2, 2]]);
  const sums = rnn({
    type: "sums",
    options: {},
    initParams: () => [],
    initState: (_, { shape: [batch] }: Spec) => ({ sum: zeros([batch, 3]) }),
    step: () => ({ sum }: { readonly sum: Tensor }, x: Tensor) => {
      const next = add(sum, x);
      return [{ next, before: sum }, { sum: next }];
    },
  });
  const { next, before } = outputOf(sums);
  assertEquals([typed<Tensor>()(next).shape, typed<Tensor>()(before).shape], [[2, 3], [2, 3]]);
  const any: AnyCell = gruCell({ units: 4 });
  typed<Tree<Tensor>>()(outputOf(rnn(any)));
});

Deno.test("wrappers keep what is inside", async () => {
  assertEquals(typed<Tensor>()(outputOf(bidirectional(gru({ units: 4 })))).shape, [2, 8]);
  const merge = (a: Tensor, b: Tensor) => mul(a, b);
  assertEquals(typed<Tensor>()(outputOf(bidirectional(gru({ units: 4 }), { mergeMode: merge }))).shape, [
    2,
    4,
  ]);
  const [ahead, behind] = outputOf(bidirectional(gru({ units: 4 }), { mergeMode: null }));
  assertEquals([typed<Tensor>()(ahead).shape, typed<Tensor>()(behind).shape], [[2, 4], [2, 4]]);
  const [y, [[h], [, c]]] = outputOf(bidirectional(lstm({ units: 4, returnState: true })));
  assertEquals([y, h, c].map((part) => typed<Tensor>()(part).shape), [[2, 8], [2, 4], [2, 4]]);
  const returnState = { returnState: true } as const;
  for (
    // a flag written inside another call is as good as one written before
    const [whole, [first]] of [
      typed<WithStates>()(outputOf(bidirectional(gru({ units: 4, returnState: true })))),
      typed<WithStates>()(outputOf(bidirectional(simpleRnn({ units: 4, returnState: true })))),
      typed<WithStates>()(outputOf(bidirectional(rnn(gruCell({ units: 4 }), { returnState: true })))),
      typed<WithStates>()(outputOf(bidirectional(gru({ units: 4, ...returnState })))),
    ]
  ) assertEquals([whole.shape, first.shape], [[2, 8], [2, 4]]);
  const layer = gru({ units: 4, returnState: true });
  using stream = streaming(layer, init(layer, key(1), x), { batch: 2, device: "reference" });
  const [output, state] = await stream.push(x);
  assertEquals([typed<HostTensor>()(output).shape, typed<HostTensor>()(state).shape], [[2, 4], [2, 4]]);
});

Deno.test("a chain gives what its last layer gives, a graph what its outputs are", () => {
  assertEquals(typed<Tensor>()(outputOf(sequential([gru({ units: 4 }), dense({ units: 1 })]))).shape, [2, 1]);
  const [, h] = outputOf(sequential([dense({ units: 2 }), gru({ units: 4, returnState: true })]));
  assertEquals(typed<Tensor>()(h).shape, [2, 4]);
  const list: readonly Layer[] = [dense({ units: 2 })];
  typed<Tree<Tensor>>()(outputOf(sequential(list)));

  const source = input([null, 3]);
  const [sequence, [last]] = call(lstm({ units: 4, returnSequences: true, returnState: true }), source);
  typed<Node>()(sequence);
  const graph = model({ inputs: source, outputs: { all: [apply(add, sequence, sequence)], last } });
  const { all: [first], last: again } = outputOf(graph);
  assertEquals([typed<Tensor>()(first).shape, typed<Tensor>()(again).shape], [[2, 5, 4], [2, 4]]);
  // @ts-expect-error: it has no such output
  (() => outputOf(graph).state);
  // @ts-expect-error: one node is no list
  (() => [...call(dense({ units: 1 }), source)]);
});

Deno.test("a layer of one's own has the types of its functions", () => {
  const shifted = defineLayer({
    type: "shifted",
    options: {},
    initParams: () => ({ shift: tensor(1) }),
    initState: () => ({ calls: tensor(0) }),
    apply({ params, state }, input) {
      const { shift } = typed<{ shift: HostTensor }>()(params);
      const calls = add(typed<{ calls: HostTensor }>()(state).calls, 1);
      if (!isTensor(input)) throw new TypeError("expected one tensor");
      return { output: { y: add(input, shift), calls }, state: { calls } };
    },
  });
  const { y, calls } = outputOf(shifted);
  assertEquals([typed<Tensor>()(y).shape, typed<Tensor>()(calls).shape], [[2, 5, 3], []]);
  (() =>
    defineLayer({
      type: "wrong",
      options: {},
      initParams: () => ({ shift: tensor(1) }),
      // @ts-expect-error: initParams makes no such parameter
      apply: ({ params: { scale }, state }) => ({ output: scale, state }),
    }));
});

Deno.test("a mapped tree has the leaves that it was given", async () => {
  const tree = { h: zeros([2]), list: [zeros([3]), zeros([4])] };
  const sizes = typed<{ h: number; list: number[] }>()(
    mapTree(tree, (leaf: Tensor) => Number(leaf.shape[0])),
  );
  assertEquals(sizes, { h: 2, list: [3, 4] });
  assertEquals(typed<Spec>()(mapTree(tree, specOf).h).dtype, "float32");
  typed<Tree<number>>()(mapTree(tree as Tree<Tensor>, () => 1));
  typed<Tree<number>>()(mapTree(tree as unknown, () => 1));
  typed<readonly [number, { a?: number }]>()(
    mapTree([tree.h, { a: tree.h }] as readonly [Tensor, { a?: Tensor }], () => 1),
  );
  const both = zipTrees(tree, tree, (a: Tensor, b: Tensor) => a === b);
  assertEquals(typed<{ h: boolean; list: boolean[] }>()(both), { h: true, list: [true, true] });
  const double = compile((x: { h: Tensor }) => ({ h: add(x.h, x.h) }), { device: "reference", keep: true });
  assertEquals([...typed<HostTensor>()((await toHost(await double({ h: tree.h }))).h).data], [0, 0]);
  const restored = restoreTree(mapTree(tree, specOf), decodeSafetensors(encodeSafetensors(tree)).tensors);
  assertEquals(typed<HostTensor>()(restored.list[1]).data.length, 4);
  // @ts-expect-error: the leaves are specs, which have no values
  ((): { h: Tensor } => mapTree(tree, specOf));
});

Deno.test("predict gives the model's output on the host", async () => {
  const layer = lstm({ units: 4, returnState: true });
  const variables: Variables = init(layer, key(1), x);
  const [y, [h, c]] = await predict(layer, variables, x);
  assertEquals([y, h, c].map((part) => typed<HostTensor>()(part).data.length), [8, 8, 8]);
  const loaded = fromJson(toJson(layer));
  assertEquals(typed<Tree<HostTensor>>()(await predict(loaded, variables, x)), [y, [h, c]]);
  const first = await predict(loaded as typeof layer, variables, x);
  assertEquals(typed<HostTensor>()(first[0]), y);
  using trainer = createTrainer(dense({ units: 2 }));
  const { model } = trainer;
  assertEquals(typed<Tensor>()(await trainer.predictOnBatch(init(model, key(1), x), x)).shape, [2, 5, 2]);
  // @ts-expect-error: the model gives no names
  (() => predict(layer, variables, x).then(({ sum }) => sum));
});
