/**
 * Split: parts of a tensor are processed as parts. A sum of paddings that tile an axis (the derivative of
 * slices) is a concatenation; elementwise work of which only slices are read (the gates of a cell) is done on
 * the slices, so that all gates share one index space.
 */
import { applyOne } from "../operations/apply.ts";
import { broadcastOperation, concat, pad, sliceOperation } from "../operations/structure.ts";
import { replayEquation, traceFlat } from "../program/trace.ts";
import {
  type Equation,
  type EquationOf,
  isElementwise,
  isEquation,
  type Program,
  type Value,
} from "../program/types.ts";
import { addDims, type Dim, sameShape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { makersOf, readersOf } from "./rewrite.ts";

/** Joins paddings and moves slices toward the inputs, in the Program and in the bodies of its scans. */
export function split(program: Program): Program {
  const makers = makersOf(program);
  const onlySliced = valuesOnlySliced(program, makers);
  return traceFlat(program.inputs, (inputs) => {
    const tensors = new Map<Value, Tensor>();
    program.inputs.forEach((value, index) => tensors.set(value, inputs[index]));
    const get = (value: Value): Tensor => {
      const known = tensors.get(value);
      if (known) return known;
      const maker = makers.get(value);
      if (!maker) throw new Error("A Program reads a value that nothing computes");
      write(maker);
      return get(value);
    };
    const slicing: Slicing = { makers, get, onlySliced, found: new Map() };
    const write = (equation: Equation): void => {
      const [output] = equation.outputs;
      if (isEquation(equation, "scan")) {
        const { attributes } = equation;
        const smaller = { ...equation, attributes: { ...attributes, body: split(attributes.body) } };
        replayEquation(smaller, equation.inputs.map(get)).forEach((x, index) =>
          tensors.set(equation.outputs[index], x)
        );
      } else {
        tensors.set(
          output,
          joinedPads(equation, makers, get) ??
            (isEquation(equation, "slice") ? slicedFirst(equation) : undefined) ??
            replayEquation(equation, equation.inputs.map(get))[0],
        );
      }
    };
    /** The slice that `equation` takes, computed from slices; undefined if that is not worthwhile. */
    const slicedFirst = (equation: EquationOf<"slice">): Tensor | undefined => {
      if (!onlySliced.has(equation.inputs[0])) return undefined;
      const { start, size } = equation.attributes;
      return sliceOf(equation.inputs[0], start, size, slicing);
    };
    for (const equation of program.equations) {
      if (!equation.outputs.every((value) => onlySliced.has(value))) write(equation);
    }
    return { outputs: program.outputs.map(get), result: undefined };
  }).program;
}

/** Elementwise results (and broadcasts) that only slices read, directly or through others of their kind. */
function valuesOnlySliced(program: Program, makers: ReadonlyMap<Value, Equation>): Set<Value> {
  const readers = readersOf(program);
  const found = new Set<Value>();
  for (const equation of program.equations.toReversed()) {
    const [value] = equation.outputs;
    if (!isElementwise(equation) && !isEquation(equation, "broadcast")) continue;
    const list = readers.get(value) ?? [];
    const sliced = list.length > 0 &&
      list.every((reader) =>
        reader !== undefined &&
        (isPlainSlice(reader) || (isElementwise(reader) && found.has(reader.outputs[0])))
      );
    if (sliced && (isElementwise(equation) || makers.has(value))) found.add(value);
  }
  // A broadcast alone is not work: it is kept unless the elementwise work around it goes.
  for (const value of found) {
    const maker = makers.get(value);
    if (
      isEquation(maker, "broadcast") &&
      (readers.get(value) ?? []).every((reader) => isEquation(reader, "slice"))
    ) {
      found.delete(value);
    }
  }
  return found;
}

function isPlainSlice(equation: Equation | undefined): boolean {
  return isEquation(equation, "slice") && equation.attributes.stride.every((step) => step === 1);
}

/** The context for computing slices. */
interface Slicing {
  readonly makers: ReadonlyMap<Value, Equation>;
  readonly get: (value: Value) => Tensor;
  readonly onlySliced: ReadonlySet<Value>;
  /** The slices made so far: a value can be reached in far more ways than it has slices. */
  readonly found: Map<Value, Piece[]>;
}

interface Piece {
  readonly start: readonly Dim[];
  readonly size: readonly Dim[];
  readonly tensor: Tensor;
}

/** A slice of a value, computed from slices of its operands. */
function sliceOf(value: Value, start: readonly Dim[], size: readonly Dim[], slicing: Slicing): Tensor {
  const pieces = slicing.found.get(value) ?? [];
  slicing.found.set(value, pieces);
  const known = pieces.find((piece) => sameShape(piece.start, start) && sameShape(piece.size, size));
  if (known) return known.tensor;
  const tensor = madeSlice(value, start, size, slicing);
  pieces.push({ start, size, tensor });
  return tensor;
}

function madeSlice(value: Value, start: readonly Dim[], size: readonly Dim[], slicing: Slicing): Tensor {
  const { makers, get, onlySliced } = slicing;
  const maker = makers.get(value);
  if (maker && isElementwise(maker) && onlySliced.has(value)) {
    const operands = maker.inputs.map((input) => sliceOf(input, start, size, slicing));
    return applyOne((maker as EquationOf<"add">).operation, operands, maker.attributes as object); // one elementwise operation
  }
  if (isEquation(maker, "broadcast")) {
    const { axes } = maker.attributes;
    const [input] = maker.inputs;
    const grows = (i: number) => input.shape[i] !== maker.attributes.shape[axes[i]];
    const cut = plainSlice(
      get(input),
      axes.map((axis, i) => grows(i) ? 0 : start[axis]),
      axes.map((axis, i) => grows(i) ? 1 : size[axis]),
    );
    return applyOne(broadcastOperation, [cut], { shape: size, axes });
  }
  return plainSlice(get(value), start, size);
}

function plainSlice(x: Tensor, start: readonly Dim[], size: readonly Dim[]): Tensor {
  if (x.shape.every((dim, axis) => start[axis] === 0 && size[axis] === dim)) return x;
  return applyOne(sliceOperation, [x], { start, size, stride: x.shape.map(() => 1) });
}

type Padding = EquationOf<"pad">;

/**
 * The one axis that the equation pads, without gaps between elements; undefined if it is not such a padding.
 */
function paddedAxis(equation: Equation | undefined): number | undefined {
  if (!isEquation(equation, "pad")) return undefined;
  const { low, high, interior } = equation.attributes;
  const axes = low.flatMap((_, axis) =>
    low[axis] === 0 && high[axis] === 0 && interior[axis] === 0 ? [] : [axis]
  );
  return axes.length === 1 && interior[axes[0]] === 0 ? axes[0] : undefined;
}

/** A sum of paddings of one axis whose contents are adjacent, as a padded concatenation. */
function joinedPads(
  equation: Equation,
  makers: ReadonlyMap<Value, Equation>,
  get: (value: Value) => Tensor,
): Tensor | undefined {
  if (!isEquation(equation, "add")) return undefined;
  const seen = new Set<Value>();
  const paddings: Padding[] = [];
  /** Whether all terms are paddings and none occurs twice, which would overlap. */
  const collect = (value: Value): boolean => {
    if (seen.has(value)) return false;
    seen.add(value);
    const maker = makers.get(value);
    if (isEquation(maker, "add")) return maker.inputs.every(collect);
    if (!isEquation(maker, "pad")) return false;
    paddings.push(maker);
    return true;
  };
  if (!equation.inputs.every(collect)) return undefined;
  const axis = paddedAxis(paddings[0]);
  if (axis === undefined || paddings.some((maker) => paddedAxis(maker) !== axis)) return undefined;
  const contents = paddings.toSorted((a, b) => {
    const [left, right] = [a.attributes.low[axis], b.attributes.low[axis]];
    return typeof left === "number" && typeof right === "number" ? left - right : 0;
  });
  for (let i = 1; i < contents.length; i++) {
    const end = addDims(contents[i - 1].attributes.low[axis], contents[i - 1].inputs[0].shape[axis]);
    if (contents[i].attributes.low[axis] !== end) return undefined;
  }
  const joined = concat(contents.map(({ inputs: [content] }) => get(content)), { axis });
  return pad(joined, {
    low: contents[0].attributes.low,
    high: contents[contents.length - 1].attributes.high,
  });
}
