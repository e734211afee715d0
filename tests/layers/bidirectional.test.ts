import {
  add,
  bidirectional,
  concat,
  gru,
  key,
  lstm,
  mul,
  reverse,
  spec,
  statefulLayer,
  sub,
  type Tensor,
  tensor,
  type Tree,
} from "@cellfold/cellfold";
import { type BidirectionalOptions, type MergeMode } from "@cellfold/cellfold/internal";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertClose, parts, random, run, shapesOf, single, variablesOf } from "./helpers.ts";

const x = random(1, [2, 5, 3]);
const mask = tensor([[true, true, true, false, false], [true, false, true, true, true]]);

/** What each direction puts out by itself, the backward sequence flipped back. */
function directions(
  options: object,
  params: Tree<Tensor>,
  given: { readonly mask?: Tensor } = {},
): [Tensor, Tensor] {
  const layer = gru({ units: 4, ...options });
  const both = params as Readonly<Record<"forward" | "backward", Tree<Tensor>>>; // of a bidirectional layer
  const forward = run(layer, { params: both.forward, state: [] }, x, given);
  const backward = single(
    run(layer.withFlags({ goBackwards: true }), { params: both.backward, state: [] }, x, given),
  );
  return [single(forward), layer.flags.returnSequences ? reverse(backward, 1) : backward];
}

const merges: readonly [MergeMode, (forward: Tensor, backward: Tensor) => Tree<Tensor>][] = [
  ["concat", (forward, backward) => concat([forward, backward])],
  ["sum", add],
  ["mul", mul],
  ["ave", (forward, backward) => mul(add(forward, backward), 0.5)],
  [null, (forward, backward) => [forward, backward]],
  [sub, sub],
];

for (const returnSequences of [true, false]) {
  Deno.test(`both directions are merged in every mode, ${returnSequences ? "sequences" : "last outputs"}`, () => {
    for (const [mergeMode, merge] of merges) {
      const layer = bidirectional(gru({ units: 4, returnSequences }), { mergeMode });
      const variables = variablesOf(layer, x);
      assertClose(run(layer, variables, x), merge(...directions({ returnSequences }, variables.params)));
      const zeroOutputForMask = returnSequences;
      assertClose(
        run(layer, variables, x, { mask }),
        merge(...directions({ returnSequences, zeroOutputForMask }, variables.params, { mask })),
      );
    }
  });
}

Deno.test("states come forward then backward, and go in the same way", () => {
  const layer = bidirectional(lstm({ units: 4, returnState: true }));
  const variables = variablesOf(layer, x);
  const [output, states] = parts(run(layer, variables, x));
  assertEquals(shapesOf(output), ["2,8"]);
  assertEquals(shapesOf(states), ["2,4", "2,4", "2,4", "2,4"]);
  assertClose(concat(parts(states).map((state) => single(parts(state)[0]))), output); // the h of each
  const [forwardState, backwardState] = parts(states);
  const both = variables.params as Readonly<Record<"forward" | "backward", Tree<Tensor>>>; // of this layer
  const each = (goBackwards: boolean, params: Tree<Tensor>, initialState: Tree<Tensor>) =>
    single(run(lstm({ units: 4, goBackwards }), { params, state: [] }, x, { initialState }));
  assertClose(
    parts(run(layer, variables, x, { initialState: states }))[0],
    concat([each(false, both.forward, forwardState), each(true, both.backward, backwardState)]),
  );
  assertThrows(
    () => run(layer, variables, x, { initialState: forwardState }),
    TypeError,
    "the initial state",
  );
  assertThrows(() => run(layer, variables, x, { initialState: single(output) }), TypeError, "[forwardState");
});

Deno.test("the mask goes on with sequences, one for each direction that is not merged", () => {
  const maskOf = (options: object, mergeMode: MergeMode = "concat") => {
    const layer = bidirectional(gru({ units: 4, ...options }), { mergeMode });
    return layer.apply(variablesOf(layer, x), x, { training: false, mask }).mask;
  };
  assert(maskOf({ returnSequences: true }) === mask);
  assertEquals(maskOf({}), undefined);
  assertEquals(maskOf({ returnSequences: true }, null), [mask, mask]);
  assertEquals(maskOf({ returnSequences: true, returnState: true }, null), [[mask, mask], undefined]);
});

Deno.test("a backward layer of its own must go the other way and return the same", () => {
  const forward = gru({ units: 4, returnSequences: true });
  const make = (options: object) => () =>
    bidirectional(forward, {
      backwardLayer: gru({ units: 2, goBackwards: true, returnSequences: true, ...options }),
    });
  const layer = make({})();
  assertEquals(shapesOf(run(layer, variablesOf(layer, x), x)), ["2,5,6"]);
  assertThrows(make({ goBackwards: false }), TypeError, "both layers have goBackwards false");
  assertThrows(
    make({ returnSequences: false }),
    TypeError,
    "returnSequences is true for the layer and false for",
  );
  assertThrows(make({ returnState: true }), TypeError, "returnState is false");
  assertThrows(make({ stateful: true }), TypeError, "stateful is false");
});

Deno.test("wrong options are refused", () => {
  const layer = gru({ units: 4 });
  const mode: string = "concatenate";
  assertThrows(
    () => bidirectional(layer, { mergeMode: mode as "concat" }),
    RangeError,
    'Cannot use the merge mode "concatenate": it is unknown; did you mean "concat"?',
  );
  const wrong: object = { merge: "sum" };
  assertThrows(() => bidirectional(layer, wrong), RangeError, 'the option "merge" of bidirectional');
  const nested = bidirectional(layer) as ReturnType<typeof gru>;
  assertThrows(
    () => bidirectional(nested),
    TypeError,
    "layer is the layer bidirectional, expected a recurrent layer",
  );
  assertThrows(() => statefulLayer(bidirectional(layer)), TypeError, "Cannot feed bidirectional in chunks");
  const options: BidirectionalOptions = { mergeMode: sub };
  assertThrows(
    () => JSON.stringify(bidirectional(layer, options).options),
    TypeError,
    "its option mergeMode",
  );
});

Deno.test("trainable leaves are those of each direction, in the order of the params", () => {
  const layer = bidirectional(gru({ units: 4, trainable: false }), {
    backwardLayer: gru({ units: 4, goBackwards: true, useBias: false }),
  });
  const params = layer.initParams(key(0), spec([null, null, 3]));
  assertEquals(layer.trainableLeaves(params), [true, true, false, false, false]);
});
