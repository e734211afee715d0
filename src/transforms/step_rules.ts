/**
 * How each primitive moves the axes of a sequence: the rules behind steps.ts. A reshape may merge an axis
 * with its neighbors (`[batch, time, …]` as rows) and split it again.
 */
import { cast, not } from "../operations/elementwise.ts";
import { broadcastTo, concat, pad, reverse, slice } from "../operations/structure.ts";
import { type Attributes, type Equation, type Program, timeAxis, type Value } from "../program/types.ts";
import {
  addDims,
  type Dim,
  divideDims,
  mentionsSymbol,
  multiplyDims,
  sameShape,
  type Shape,
  sizeOfShape,
  subtractDims,
} from "../tensor/dims.ts";
import { type Spec, type Tensor, tensor } from "../tensor/tensor.ts";
import {
  type AxisPlace,
  contracted,
  type Followed,
  isWhole,
  lost,
  meet,
  moved,
  placeOf,
  rearranged,
  removed,
  samePlace,
  type State,
  TIME,
  wholePlace,
} from "./sequence_axes.ts";

/**
 * Follows sequences through a Program.
 *
 * @param given The states of its inputs; undefined or missing if no sequence is read.
 * @param time The open size of time, if position and number of steps matter too: what is computed from them
 *   is mixed, and what is the same at every step is a sequence too.
 * @returns The states of its outputs.
 */
export function followProgram(program: Program, given: readonly State[], time?: Dim): State[] {
  const states = new Map<Value, State>();
  program.inputs.forEach((value, index) => states.set(value, given[index]));
  for (const equation of program.equations) {
    const results = followEquation(equation, equation.inputs.map((value) => states.get(value)), time);
    equation.outputs.forEach((value, index) => states.set(value, results[index]));
  }
  return program.outputs.map((value) => states.get(value));
}

/** The states of an equation's outputs, from those of its inputs. */
export function followEquation(
  equation: Equation,
  inputs: readonly State[],
  time: Dim | undefined,
): State[] {
  const { operation: { name, leading }, attributes } = equation;
  const [output] = equation.outputs;
  switch (name) {
    case "constant":
      return [undefined];
    case "size":
      return [
        time !== undefined && mentions(attributes as Attributes["size"], time) ? lost(name) : undefined,
      ];
    case "iota": {
      const { shape, axis } = attributes as Attributes["iota"];
      if (time !== undefined && mentions({ dim: shape[axis] }, time)) return [lost(name)];
      return [sameAtEveryStep(output, time)];
    }
    case "scan": {
      const scan = attributes as Attributes["scan"];
      return time === undefined || mentions({ dim: scan.length }, time)
        ? followScan(scan, equation.outputs, inputs, time)
        : followOtherScan(scan, equation, inputs, time);
    }
    case "broadcast": {
      const [x] = inputs;
      const state = x && spread(x, equation.inputs[0].shape, attributes as Attributes["broadcast"]);
      if (state && (placeOf(state, TIME) || state.mixedBy)) return [state];
      return [meet([state, sameAtEveryStep(output, time)], name)];
    }
  }
  if (name === "randomBits" && sameAtEveryStep(output, time)) return [lost(name)];
  if (inputs.every((state) => state === undefined)) return [undefined];
  const shapes = equation.inputs.map(({ shape }) => shape);
  const [x] = inputs;
  if (leading !== undefined) { // the axes of this input come first and stay
    return [meet(inputs.map((state, index) => index === leading ? state : state && lost(name)), name)];
  }
  switch (name) {
    case "reshape":
      return [x && reshaped(x, shapes[0], output.shape)];
    case "transpose": {
      const { permutation } = attributes as Attributes["transpose"];
      return [x && moved(x, (axis) => permutation.indexOf(axis))];
    }
    case "reverse":
      return [x && reversed(x, (attributes as Attributes["reverse"]).axes)];
    case "cumsum":
      return [x && summedUp(x, (attributes as Attributes["cumsum"]).axis)];
    case "slice":
      return [x && sliced(x, shapes[0], attributes as Attributes["slice"])];
    case "windows": {
      const { axis: along } = attributes as Attributes["windows"];
      if (x?.places.some(({ axis }) => axis === along)) return [lost(name)];
      return [x && moved(x, (axis) => axis < along ? axis : axis + 1)];
    }
    case "pad":
      return [x && padded(x, attributes as Attributes["pad"])];
    case "concat":
      return [joined(inputs, shapes, (attributes as Attributes["concat"]).axis)];
    case "sum":
    case "max":
      return [x && removed(x, (attributes as Attributes["sum"]).axes, name)];
    case "argmax":
      return [x && removed(x, [(attributes as Attributes["argmax"]).axis], name)];
    case "matmul": {
      const { transposeLeft, transposeRight } = attributes as Attributes["matmul"];
      const [rows, columns] = [output.shape.length - 2, output.shape.length - 1];
      const side = (state: State, inner: number, outer: number, to: number) =>
        state && moved(contracted(state, inner, name), (axis) => axis === outer ? to : axis);
      return [meet([
        transposeLeft ? side(x, rows, columns, rows) : side(x, columns, rows, rows),
        transposeRight ? side(inputs[1], columns, rows, columns) : side(inputs[1], rows, columns, columns),
      ], name)];
    }
    case "convolve": {
      if (inputs[1] || x?.places.some(({ axis }) => axis > 0)) return [lost(name)];
      return [x];
    }
    case "scatterAdd":
    case "randomBits":
      return [lost(name)];
    default: // elementwise: operands of one shape
      return [meet(inputs, name)];
  }
}

/** Whether a size depends on the number of steps. */
export function mentions({ dim }: { readonly dim: Dim }, time: Dim): boolean {
  return mentionsSymbol(dim, String(time));
}

/** The state of a value that is the same at every step along a time axis. */
function sameAtEveryStep({ shape }: Spec, time: Dim | undefined): State {
  const axis = time === undefined ? -1 : shape.indexOf(time);
  return axis < 0 || time === undefined
    ? undefined
    : { places: [wholePlace(TIME, axis, time)], mask: undefined, mixedBy: undefined };
}

function spread(state: Followed, from: Shape, { shape, axes }: Attributes["broadcast"]): Followed {
  const grows = ({ axis }: AxisPlace) => from[axis] === 1 && shape[axes[axis]] !== 1;
  return state.places.some(grows) ? lost("broadcast") : moved(state, (axis) => axes[axis]);
}

function reshaped(state: Followed, from: Shape, to: Shape): Followed {
  const places = state.places.map((place) => placeAfter(place, from, to));
  return places.some((place) => place === undefined)
    ? lost("reshape")
    : { ...state, places: places as readonly AxisPlace[] }; // none is undefined
}

/** Where an axis lies after a reshape: the number of elements between its neighbors does not change. */
function placeAfter(place: AxisPlace, from: Shape, to: Shape): AxisPlace | undefined {
  if (sameShape(from.slice(0, place.axis + 1), to.slice(0, place.axis + 1))) return place;
  const distance = multiplyDims(place.inner, sizeOfShape(from.slice(place.axis + 1)));
  const found = to.flatMap((dim, axis): AxisPlace[] => {
    const inner = divideDims(distance, sizeOfShape(to.slice(axis + 1)));
    const outer = inner === undefined ? undefined : divideDims(dim, multiplyDims(place.length, inner));
    return inner === undefined || outer === undefined || inner === 0 || outer === 0
      ? []
      : [{ ...place, axis, outer, inner }];
  });
  return found.find(isWhole) ?? found[0];
}

function reversed(state: Followed, axes: readonly number[]): Followed {
  return state.places.filter(({ axis }) => axes.includes(axis)).reduce(
    (state, { role }) =>
      placeOf(state, role) ? rearranged(state, role, "reverse", (mask, axis) => reverse(mask, axis)) : state,
    state,
  );
}

/** Each step as the sum of those up to it: all stay where they are, and count as before. */
function summedUp(state: Followed, axis: number): Followed {
  const place = state.places.find((place) => place.axis === axis);
  return place ? rearranged(state, place.role, "cumsum", (mask) => mask) : state;
}

function sliced(state: Followed, from: Shape, { start, size, stride }: Attributes["slice"]): Followed {
  const cut = ({ axis }: AxisPlace) => start[axis] !== 0 || size[axis] !== from[axis] || stride[axis] !== 1;
  return state.places.filter(cut).reduce((state, { role, axis }) => {
    if (!placeOf(state, role)) return state;
    return rearranged(
      state,
      role,
      "slice",
      (mask, at) =>
        slice(mask, {
          start: mask.shape.map((_, i) => i === at ? start[axis] : 0),
          size: mask.shape.map((dim, i) => i === at ? size[axis] : dim),
          stride: mask.shape.map((_, i) => i === at ? stride[axis] : 1),
        }),
      size[axis],
    );
  }, state);
}

/** Inserted zeros count, as do joined elements. */
function padded(state: Followed, { low, high, interior }: Attributes["pad"]): Followed {
  const grown = ({ axis }: AxisPlace) => low[axis] !== 0 || high[axis] !== 0 || interior[axis] !== 0;
  return state.places.filter(grown).reduce((state, { role, axis, length }) => {
    if (!placeOf(state, role)) return state;
    const along = <T>(mask: Tensor, at: number, value: T, other: T) =>
      mask.shape.map((_, i) => i === at ? value : other);
    const within = length === 0 ? 0 : multiplyDims(subtractDims(length, 1), interior[axis]);
    return rearranged(
      state,
      role,
      "pad",
      (mask, at) =>
        not(cast(
          pad(cast(not(mask), "int32"), {
            low: along<Dim>(mask, at, low[axis], 0),
            high: along<Dim>(mask, at, high[axis], 0),
            interior: along(mask, at, interior[axis], 0),
          }),
          "bool",
        )),
      addDims(addDims(length, within), addDims(low[axis], high[axis])),
    );
  }, state);
}

/** Operands joined along an axis; if that is the sequence's own, their masks are joined too. */
function joined(states: readonly State[], shapes: readonly Shape[], axis: number): State {
  const leader = states.find((state) => state?.places.some((place) => place.axis === axis));
  const role = leader?.places.find((place) => place.axis === axis)?.role;
  if (leader === undefined || role === undefined) return meet(states, "concat");
  const sameElsewhere = (state: State) =>
    state === undefined ||
    state.places.length === leader.places.length && state.places.every((place, index) => {
        const other = leader.places[index];
        return place.role === other.role && place.axis === other.axis && isWhole(place);
      });
  if (!leader.places.every(isWhole) || !states.every(sameElsewhere)) return lost("concat");
  const lengths = states.map((_, index) => shapes[index][axis]);
  const at = leader.places.findIndex((place) => place.role === role);
  const everywhere = (length: Dim) =>
    broadcastTo(tensor(true), leader.places.map((place, i) => i === at ? length : place.length));
  const masks = states.some((state) => state?.mask)
    ? states.map((state, index) => state?.mask ?? everywhere(lengths[index]))
    : undefined;
  return {
    places: leader.places.with(at, { ...leader.places[at], length: lengths.reduce(addDims) }),
    mask: masks && concat(masks, { axis: at }),
    mixedBy: states.find((state) => state?.mixedBy)?.mixedBy ?? (role === TIME ? "concat" : undefined),
  };
}

/** A scan: its carries depend on all steps, its stacked outputs lie along the sequences. */
function followScan(
  { body, constants, carries, length }: Attributes["scan"],
  outputs: readonly Value[],
  inputs: readonly State[],
  time: Dim | undefined,
): State[] {
  const isConstantLength = time === undefined || !mentions({ dim: length }, time);
  if (inputs.every((state) => state === undefined) && isConstantLength) return outputs.map(() => undefined);
  const sequences = inputs.slice(constants + carries);
  const timeAt = (index: number) => timeAxis(body.inputs[constants + carries + index].shape.length + 1);
  const steps = sequences.map((state, index): State => {
    const axis = timeAt(index);
    const place = state && placeOf(state, TIME);
    if (state === undefined) return undefined;
    if (!place || place.axis !== axis || !isWhole(place)) return lost("scan");
    const others = state.places.filter(({ role }) => role !== TIME);
    return moved({ ...state, places: others, mask: undefined }, (from) => from > axis ? from - 1 : from);
  });
  const unmasked = (state: State): State => state && { ...state, mask: undefined };
  const closedOver = inputs.slice(0, constants).map(unmasked);
  let carried = inputs.slice(constants, constants + carries).map(unmasked);
  let results: State[] = [];
  for (let round = 0; round <= carries; round++) { // each finds a dependent carry
    results = followProgram(body, [...closedOver, ...carried, ...steps]).map(unmasked);
    carried = carried.map((state, index) => meet([state, results[index]], "scan"));
  }
  const masks = sequences.reduce((all, state) => meet([all, state], "scan"), undefined);
  return outputs.map((value, index): State => {
    const state = results[index] ?? { places: [], mask: undefined, mixedBy: undefined };
    if (index < carries) return { ...state, mixedBy: "scan" };
    if (masks === undefined || !placeOf(masks, TIME)) return lost("scan");
    const axis = timeAxis(value.shape.length);
    const inside = moved(state, (from) => from >= axis ? from + 1 : from);
    const places = [...inside.places, wholePlace(TIME, axis, length)].sort((p, q) => p.role - q.role);
    const mask = masks.places.every((place) =>
        samePlace(place, places.find(({ role }) => role === place.role))
      )
      ? masks.mask
      : undefined;
    return {
      places: mask ? places.filter(({ role }) => placeOf(masks, role)) : places,
      mask,
      mixedBy: "scan",
    };
  });
}

/** A scan over another axis than `time`, such as one over the parts of each step. */
function followOtherScan(
  { body, constants, carries }: Attributes["scan"],
  equation: Equation,
  inputs: readonly State[],
  time: Dim,
): State[] {
  const slices = inputs.slice(constants + carries).map((state, index) => {
    const along = timeAxis(equation.inputs[constants + carries + index].shape.length);
    return state && moved(state, (axis) => axis > along ? axis - 1 : axis);
  });
  const same = (a: Followed, b: Followed) => {
    const [place, other] = [placeOf(a, TIME), placeOf(b, TIME)];
    return place !== undefined && other !== undefined && samePlace(place, other);
  };
  let carried = inputs.slice(constants, constants + carries);
  let results: State[] = [];
  for (let round = 0; round <= carries; round++) { // each finds a dependent carry
    results = followProgram(body, [...inputs.slice(0, constants), ...carried, ...slices], time);
    carried = carried.map((state, index) => {
      const result = results[index];
      if (!state || !result || result.mixedBy) return result ?? state;
      return same(state, result) ? state : { ...result, mixedBy: "scan" };
    });
  }
  return equation.outputs.map(({ shape }, index) => {
    const state = results[index];
    if (index < carries) return carried[index];
    const along = timeAxis(shape.length);
    return state && moved(state, (axis) => axis >= along ? axis + 1 : axis);
  });
}
