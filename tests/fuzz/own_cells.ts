/**
 * Cells of a user's own: states and inputs that are trees, a first state that is learnt, outputs that are not the
 * state. Each is written twice, for the library and, step by step, for the interpreter. A printed program has the
 * text of the first, so what it uses is reached through `cf`.
 */
import * as cf from "@cellfold/cellfold";
import type * as internal from "@cellfold/cellfold/internal";
import type { Options } from "./description.ts";
import { matrix, type Nested, rounded, times, vector } from "./interpreter/nested.ts";
import type { CellSteps } from "./interpreter/types.ts";

/** Both forms of a cell. */
export interface OwnCell {
  readonly make: (options: Options) => internal.AnyCell;
  readonly steps: (options: Options) => CellSteps;
}

type Fields = { readonly [name: string]: Nested };

/** A leaky integrator with a state `{ h, steps }`; the output is `h` divided by the number of steps that counted. */
function leaky(options: Options): internal.AnyCell {
  const units = Number(options.units);
  return {
    type: "leaky",
    options: options,
    initParams: (key: cf.Tensor, input: cf.Spec) => ({
      kernel: cf.uniform(key, [Number(input.shape[1]), units], { min: -1, max: 1 }),
      first: cf.zeros([units]),
    }),
    initState: ({ first }: { first: cf.Tensor }, input: cf.Spec) => ({
      h: cf.broadcastTo(cf.reshape(first, [1, units]), [input.shape[0], units]),
      steps: cf.zeros([input.shape[0], 1]),
    }),
    step:
      ({ kernel }: { kernel: cf.Tensor }) =>
      ({ h, steps }: { h: cf.Tensor; steps: cf.Tensor }, x: cf.Tensor) => {
        const next = { h: cf.add(cf.mul(h, 0.5), cf.tanh(cf.matmul(x, kernel))), steps: cf.add(steps, 1) };
        return [cf.div(next.h, next.steps), next];
      },
  };
}

function leakySteps(_: Options): CellSteps {
  return {
    initial: (params) => ({ h: (params as Fields).first, steps: [0] }), // its own parameters
    step: (params, state, input) => {
      const { kernel } = params as Fields; // its own parameters
      const { h, steps } = state as Fields; // its own state
      const driven = times(vector(input as Nested), matrix(kernel)); // one array
      const next = vector(h).map((value, i) => rounded(rounded(value * 0.5) + rounded(Math.tanh(driven[i]))));
      const count = vector(steps)[0] + 1;
      return [next.map((value) => rounded(value / count)), { h: next, steps: [count] }];
    },
  };
}

/** Two sequences at once, `{ a, b }` of one size, to two outputs `{ up: a + state, by: b · state }`. */
function crossing(options: Options): internal.AnyCell {
  return {
    type: "crossing",
    options: options,
    initParams: (key: cf.Tensor, input: { a: cf.Spec; b: cf.Spec }) => ({
      gain: cf.uniform(key, [Number(input.a.shape[1])], { min: -1, max: 1 }),
    }),
    initState: (_params: unknown, input: { a: cf.Spec; b: cf.Spec }) => [cf.zeros(input.a.shape)],
    step:
      ({ gain }: { gain: cf.Tensor }) =>
      ([state]: readonly [cf.Tensor], { a, b }: { a: cf.Tensor; b: cf.Tensor }) => {
        const next = cf.tanh(cf.add(cf.mul(state, gain), cf.sub(a, b)));
        return [{ up: cf.add(a, next), by: cf.mul(b, next) }, [next]];
      },
  };
}

function crossingSteps(_: Options): CellSteps {
  return {
    initial: (_params, input) => ({ 0: vector((input as Fields).a).map(() => 0) }), // its own input
    step: (params, state, input) => {
      const { gain } = params as Fields; // its own parameters
      const { 0: h } = state as Fields; // its own state
      const [a, b] = [vector((input as Fields).a), vector((input as Fields).b)]; // its own input
      const next = vector(h).map((value, i) =>
        rounded(Math.tanh(rounded(rounded(value * vector(gain)[i]) + rounded(a[i] - b[i]))))
      );
      return [
        {
          up: a.map((value, i) => rounded(value + next[i])),
          by: b.map((value, i) => rounded(value * next[i])),
        },
        { 0: next },
      ];
    },
  };
}

/** All of them, by type. */
export const ownCells: { readonly [type: string]: OwnCell } = {
  leaky: { make: leaky, steps: leakySteps },
  crossing: { make: crossing, steps: crossingSteps },
};
