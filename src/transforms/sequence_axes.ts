/**
 * Where the axes of a sequence lie in a value, and what becomes of them when axes move, vanish or meet. The
 * rules of each primitive are in step_rules.ts.
 */
import { and, cast } from "../operations/elementwise.ts";
import { max } from "../operations/reduction.ts";
import { broadcastTo, expandDims } from "../operations/structure.ts";
import type { Dim } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Axis 0 of a sequence. */
export const BATCH = 0;
/** Axis 1 of a sequence. */
export const TIME = 1;

/** Where an axis of a sequence lies in a value: inside `axis`, whose size is `outer · length · inner`. */
export interface AxisPlace {
  /** Which axis of the sequence: `BATCH`, `TIME`, or a later one that its mask has. */
  readonly role: number;
  readonly axis: number;
  readonly outer: Dim;
  readonly length: Dim;
  readonly inner: Dim;
}

/** What is known about a value that depends on sequences. */
export interface Followed {
  /** The sequence axes that it still has, by role. */
  readonly places: readonly AxisPlace[];
  /** Which of its elements count: bool, one axis per place; undefined if all do. */
  readonly mask: Tensor | undefined;
  /** The primitive that made its steps depend on more than the same step of the sequences. */
  readonly mixedBy: string | undefined;
}

/** What is known about a value; undefined if it does not depend on sequences. */
export type State = Followed | undefined;

/** An axis that is a sequence axis and nothing else. */
export function wholePlace(role: number, axis: number, length: Dim): AxisPlace {
  return { role, axis, outer: 1, length, inner: 1 };
}

/** Whether nothing is merged with the axis. */
export function isWhole({ outer, inner }: AxisPlace): boolean {
  return outer === 1 && inner === 1;
}

/** The place of one of the sequence's axes. */
export function placeOf(state: Followed, role: number): AxisPlace | undefined {
  return state.places.find((place) => place.role === role);
}

/** A value that depends on sequences in an unknown way. */
export function lost(by: string): Followed {
  return { places: [], mask: undefined, mixedBy: by };
}

/** With every place moved to another axis; removed if `to` gives -1. */
export function moved(state: Followed, to: (axis: number) => number): Followed {
  return { ...state, places: state.places.map((place) => ({ ...place, axis: to(place.axis) })) };
}

/** With `change` applied to the mask along the place of `role`, and another length of that place. */
export function rearranged(
  state: Followed,
  role: number,
  by: string,
  change: (mask: Tensor, axis: number) => Tensor,
  length?: Dim,
): Followed {
  const index = state.places.findIndex((place) => place.role === role);
  if (!isWhole(state.places[index])) return lost(by);
  return {
    places: length === undefined
      ? state.places
      : state.places.with(index, { ...state.places[index], length }),
    mask: state.mask && change(state.mask, index),
    mixedBy: state.mixedBy ?? (role === TIME ? by : undefined),
  };
}

/** Without the places on `axis`: a remaining element counts if anything along it counted. */
export function contracted(state: Followed, axis: number, by: string): Followed {
  const gone = state.places.filter((place) => place.axis === axis);
  if (gone.length === 0) return state;
  if (!gone.every(isWhole)) return lost(by);
  const places = state.places.filter((place) => place.axis !== axis);
  const axes = state.places.flatMap((place, index) => place.axis === axis ? [index] : []);
  return {
    places,
    mask: state.mask && places.length > 1
      ? cast(max(cast(state.mask, "int32"), { axes }), "bool")
      : undefined,
    mixedBy: state.mixedBy ?? (gone.some(({ role }) => role === TIME) ? by : undefined),
  };
}

/** Reduced over axes, which are removed. */
export function removed(state: Followed, axes: readonly number[], by: string): Followed {
  const left = axes.reduce((state, axis) => contracted(state, axis, by), state);
  return moved(left, (axis) => axis - axes.filter((gone) => gone < axis).length);
}

/**
 * The state of an elementwise combination of values of one shape. If the same sequence axis lies in two
 * places (all pairs of steps), the result has the outer one.
 */
export function meet(states: readonly State[], by: string): State {
  return states.reduce((a, b): State => {
    if (a === undefined || b === undefined) return a ?? b;
    const [first, second] = outermost(a) <= outermost(b) ? [a, b] : [b, a];
    const agrees = second.places.every((place) => samePlace(place, placeOf(first, place.role)));
    const places = agrees
      ? [...first.places, ...second.places.filter(({ role }) => !placeOf(first, role))].sort((p, q) =>
        p.role - q.role
      )
      : first.places;
    const masks = [first, ...(agrees ? [second] : [])].flatMap((state) =>
      state.mask ? [expanded(state, state.mask, places)] : []
    );
    return {
      places,
      mask: masks.length === 0 ? undefined : masks.reduce(and),
      mixedBy: a.mixedBy ?? b.mixedBy ?? (agrees ? undefined : by),
    };
  }, undefined);
}

function outermost(state: Followed): number {
  return placeOf(state, TIME)?.axis ?? Infinity;
}

export function samePlace(a: AxisPlace, b: AxisPlace | undefined): boolean {
  return b === undefined || a.axis === b.axis && a.outer === b.outer && a.inner === b.inner;
}

/** A mask extended to all of `places`, which are more than it has. */
function expanded(state: Followed, mask: Tensor, places: readonly AxisPlace[]): Tensor {
  const spread = places.reduce(
    (mask, { role }, axis) => placeOf(state, role) ? mask : expandDims(mask, axis),
    mask,
  );
  return spread === mask ? mask : broadcastTo(spread, places.map(({ length }) => length));
}
