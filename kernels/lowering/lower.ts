/**
 * Lowering: from a Program to kernels over views. Decides where every value lies, what is written straight to where it
 * is wanted (a stacked output, a part of a concatenation, a carry). What runs together is decided in `block.ts`; what
 * only one backend does with the kernels, as packing the operands of products, is in its folder.
 */
import { type Bindings, evaluateDim, evaluateShape } from "../../src/tensor/dims.ts";
import {
  type Equation,
  type EquationOf,
  isEquation,
  type Program,
  timeAxis,
  type Value,
} from "../../src/program/types.ts";
import { requireElements, requireRows } from "../../src/program/empty.ts";
import { foldAddends, placeAddends, type WithAddends } from "./addends.ts";
import {
  applyView,
  constantTensor,
  type Located,
  type Place,
  prepareBlock,
  type PreparedBlock,
} from "./block.ts";
import { type FusedOperation, type Kernel, type Operand } from "./kernels.ts";
import { rowsOf } from "./rows.ts";
import { baseOf, isElementwise, isViewOperation, sharesRegisters } from "./stages.ts";
import {
  broadcastView,
  type Buffer,
  sizeOf,
  sliceView,
  stepView,
  transposeView,
  type View,
  viewOf,
} from "./views.ts";

/** What the lowering of one executable shares. */
export interface LoweringContext {
  /** The backend that is lowered for, which errors name. */
  readonly backend: string;
  readonly bindings: Bindings;
  /** Pieces of a product that are added to by themselves begin at multiples of so many columns. */
  readonly columns: number;
}

/** Terms that are added one after another where more would be added with what rounding loses. */
const FEW_TERMS = 32;

function arena(name: string, size: number): Buffer {
  return { name, size, place: { kind: "arena" } };
}

/** Lowers a whole Program: inputs and outputs lie in memory that is looked up at every call. */
export function lowerProgram(program: Program, context: LoweringContext): Kernel[] {
  const outside = (kind: "input" | "output") => (value: Value, index: number): View => {
    const shape = evaluateShape(value.shape, context.bindings);
    return viewOf(
      { name: `${kind} ${index}`, size: sizeOf(shape), place: { kind, index } },
      shape,
      value.dtype,
    );
  };
  const inputs = program.inputs.map(outside("input"));
  const given = new Map(program.inputs.map((value, index) => [value, { view: inputs[index] }]));
  return lowerBlock(program, given, program.outputs.map(outside("output")), [], 0, context);
}

/** Lowers a block. `targets` are the places of the outputs; the first ones are those of the `carries`. */
function lowerBlock(
  program: Program,
  given: ReadonlyMap<Value, Located>,
  targets: readonly View[],
  carries: readonly View[],
  depth: number,
  context: LoweringContext,
): Kernel[] {
  const { bindings } = context;
  const { program: folded, of: addendsOf } = foldAddends(program, given, context);
  const block = prepareBlock(
    folded,
    given,
    targets.map((view, i) => i < carries.length ? undefined : view),
    bindings,
  );
  const lateCarries = placeCarries(block, carries);
  const stores = storesOf(block, lateCarries.map(({ from }) => from), bindings);
  const located = new Map<Value, Located>(block.given);
  const locate = (value: Value): Located => {
    const known = located.get(value);
    if (known) return known;
    const maker = block.makers.get(value);
    const [stored] = stores.get(value) ?? [];
    let found: Located | undefined;
    if (stored) {
      found = {
        view: maker && block.copies.has(maker)
          ? viewOf(stored.buffer, evaluateShape(value.shape, bindings), value.dtype)
          : stored,
      };
    } else if (maker && isViewOperation(maker)) {
      const input = locate(maker.inputs[0]);
      if ("constant" in input) found = input;
      else {
        const view = applyView(maker, input.view, bindings);
        found = view && { view };
      }
    }
    if (!found) {
      throw new Error(
        `A ${value.dtype} value of ${maker?.operation.name ?? "nothing"} has no place in memory`,
      );
    }
    located.set(value, found);
    return found;
  };
  const viewIn = (value: Value): View => {
    const found = locate(value);
    if ("view" in found) return found.view;
    const buffer: Buffer = {
      name: "constant",
      size: 1,
      place: { kind: "constant", value: constantTensor(found.constant, found.dtype) },
    };
    const shape = evaluateShape(value.shape, bindings);
    return broadcastView(viewOf(buffer, [], value.dtype), shape, []);
  };
  const lowering: Lowering = { block, addendsOf, stores, locate, viewIn, depth, context };
  const kernels = block.units.flatMap(({ equations }) => {
    if (isElementwise(equations[0])) return [fuse(equations, lowering)];
    const more = equations[0].outputs.flatMap((value) =>
      (stores.get(value) ?? []).slice(1).map((to) => copy(locate(value), to))
    );
    return [...lowerEquation(equations[0], lowering), ...more];
  });
  return [
    ...kernels,
    ...copyCarries(lateCarries.map(({ from, to }) => ({ from: locate(from), to })), carries),
  ];
}

/** Copies of carries at the end of a step; one that reads a carry goes through memory of its own, so that all may swap. */
function copyCarries(
  late: readonly { readonly from: Located; readonly to: View }[],
  carries: readonly View[],
): Kernel[] {
  const before: Kernel[] = [];
  const after: Kernel[] = [];
  for (const { from, to } of late) {
    const read = "view" in from ? from.view.buffer : undefined;
    if (read && carries.some(({ buffer }) => buffer === read)) {
      const between = viewOf(arena("carry on its way", sizeOf(to.shape)), to.shape, to.dtype);
      before.push(copy(from, between));
      after.push(copy({ view: between }, to));
    } else {
      after.push(copy(from, to));
    }
  }
  return [...before, ...after];
}

/** What lowering one equation needs of its block. */
interface Lowering {
  readonly block: PreparedBlock;
  /** What is added to the results of products. */
  readonly addendsOf: WithAddends["of"];
  readonly stores: ReadonlyMap<Value, readonly View[]>;
  readonly locate: (value: Value) => Located;
  readonly viewIn: (value: Value) => View;
  readonly depth: number;
  readonly context: LoweringContext;
}

/**
 * Lets carries be written where they are read from, if nothing reads the old one afterwards; gives those that must
 * be copied at the end of the step.
 */
function placeCarries(
  block: PreparedBlock,
  carries: readonly View[],
): { readonly from: Value; readonly to: View }[] {
  const late: { from: Value; to: View }[] = [];
  carries.forEach((carry, index) => {
    const value = block.outputs[index];
    const maker = block.makers.get(value);
    const writer = maker && block.unitOf.get(maker);
    const placed = block.places.get(value) ?? [];
    const possible = writer !== undefined && maker && !block.copies.has(maker) &&
      !isEquation(maker, "randomBits") &&
      (isElementwise(maker) || placed.length === 0) && block.outputs.indexOf(value) === index;
    if (
      possible && !readsAfter(block, carry, writer)
    ) {
      block.places.set(value, [...placed, carry]);
    } else {
      late.push({ from: value, to: carry });
    }
  });
  return late;
}

/** Whether a unit after `writer`, or `writer` itself at another element, reads the carry. */
function readsAfter(block: PreparedBlock, carry: View, writer: number): boolean {
  return block.equations.some((equation) => {
    const reader = block.unitOf.get(equation);
    if (reader === undefined || reader < writer) return false;
    return equation.inputs.some((input) => {
      const base = baseOf(input, block);
      const found = block.given.get(base);
      if (!found || !("view" in found) || found.view.buffer !== carry.buffer) return false;
      return reader > writer || base !== input || !isElementwise(equation);
    });
  }) || block.outputs.some((value) => {
    const found = block.given.get(baseOf(value, block));
    return found !== undefined && "view" in found && found.view.buffer === carry.buffer;
  });
}

/** Where every computed value is written: first where it is read from. */
function storesOf(block: PreparedBlock, readLater: readonly Value[], bindings: Bindings): Map<Value, View[]> {
  const stores = new Map<Value, View[]>();
  const fromMemory = new Set(readLater.map((value) => baseOf(value, block)));
  for (const equation of block.equations) {
    if (isViewOperation(equation) && !block.copies.has(equation)) continue;
    for (const input of equation.inputs) {
      const maker = block.makers.get(input);
      const sameKernel = maker !== undefined && sharesRegisters(equation, input, block) &&
        block.unitOf.get(maker) === block.unitOf.get(equation);
      if (!sameKernel) fromMemory.add(baseOf(input, block));
    }
  }
  const viewOfPlace = (place: Place): View => {
    if (!("whole" in place)) return place;
    const maker = block.makers.get(place.whole) as EquationOf<"concat">; // only concatenations have parts
    const { axis } = maker.attributes;
    const sizes = maker.inputs.map((part) => evaluateDim(part.shape[axis], bindings));
    const from = sizes.slice(0, place.part).reduce((sum, size) => sum + size, 0);
    const [whole] = stores.get(place.whole) as View[]; // a concatenation is given memory before its parts
    const start = whole.shape.map((_, i) => i === axis ? from : 0);
    const size = whole.shape.map((dim, i) => i === axis ? sizes[place.part] : dim);
    return sliceView(whole, start, size, size.map(() => 1));
  };
  for (const equation of block.equations.toReversed()) {
    if (isViewOperation(equation) && !block.copies.has(equation)) continue;
    for (const value of equation.outputs) {
      const wanted = (block.places.get(value) ?? []).map(viewOfPlace);
      const copied = block.copies.has(equation);
      const shape = evaluateShape(copied ? equation.inputs[0].shape : value.shape, bindings);
      const needed = !isElementwise(equation) || fromMemory.has(value);
      const own = copied || block.reshaped.has(value) || (wanted.length === 0 && needed);
      const named = isEquation(equation, "randomBits") ? Math.ceil(sizeOf(shape) / 8) * 8 : sizeOf(shape);
      stores.set(
        value,
        own ? [viewOf(arena(equation.operation.name, named), shape, value.dtype), ...wanted] : wanted,
      );
    }
  }
  return stores;
}

/** One kernel for the equations of an elementwise unit. */
function fuse(equations: readonly Equation[], { block, stores, locate, context }: Lowering): Kernel {
  const own = new Set(equations);
  const operations = equations.map((equation): FusedOperation => {
    const [output] = equation.outputs;
    const operands = equation.inputs.map((input): Operand => {
      const maker = block.makers.get(input);
      if (maker && isElementwise(maker) && own.has(maker)) {
        return { kind: "register", value: input };
      }
      const found = locate(input);
      return "view" in found
        ? { kind: "view", view: found.view }
        : { kind: "constant", value: found.constant, dtype: found.dtype };
    });
    const { name } = equation.operation;
    return {
      name: name === "stopGradient" ? "copy" : name,
      operands,
      output,
      inputDType: equation.inputs[0].dtype,
      stores: stores.get(output) ?? [],
    };
  });
  return { kind: "fused", shape: evaluateShape(equations[0].outputs[0].shape, context.bindings), operations };
}

/** A kernel that writes `from` to `to`. */
function copy(from: Located, to: View): Kernel {
  const operand: Operand = "view" in from
    ? { kind: "view", view: from.view }
    : { kind: "constant", value: from.constant, dtype: from.dtype };
  const output: Value = { shape: to.shape, dtype: to.dtype };
  return {
    kind: "fused",
    shape: to.shape,
    operations: [{ name: "copy", operands: [operand], output, inputDType: to.dtype, stores: [to] }],
  };
}

/** The kernels of an equation that is neither elementwise nor a view. */
function lowerEquation(equation: Equation, lowering: Lowering): Kernel[] {
  const { stores, viewIn, locate, context } = lowering;
  const [output] = stores.get(equation.outputs[0]) ?? [];
  if (lowering.block.copies.has(equation)) return [copy(locate(equation.inputs[0]), output)];
  if (isEquation(equation, "concat")) return []; // its parts were written into it
  if (isEquation(equation, "scan")) return lowerScan(equation, lowering);
  if (isEquation(equation, "pad")) {
    const { low, interior } = equation.attributes;
    const inside = sliceView(
      output,
      evaluateShape(low, context.bindings),
      evaluateShape(equation.inputs[0].shape, context.bindings),
      interior.map((gap) => gap + 1),
    );
    return [copy({ constant: 0, dtype: output.dtype }, output), copy(locate(equation.inputs[0]), inside)];
  }
  if (isEquation(equation, "sum") || isEquation(equation, "reduceMax")) {
    const { name } = equation.operation;
    return [{
      kind: "reduce",
      name,
      input: viewIn(equation.inputs[0]),
      axes: equation.attributes.axes,
      output,
    }];
  }
  if (isEquation(equation, "argmax")) {
    requireElements(evaluateShape(equation.inputs[0].shape, context.bindings), equation.attributes.axis);
    return [{ kind: "argmax", input: viewIn(equation.inputs[0]), axis: equation.attributes.axis, output }];
  }
  if (isEquation(equation, "gather") || isEquation(equation, "scatterAdd")) requireIndexed(equation, context);
  if (isEquation(equation, "gather")) {
    return [{
      kind: "gather",
      operand: viewIn(equation.inputs[0]),
      indices: viewIn(equation.inputs[1]),
      output,
    }];
  }
  if (isEquation(equation, "scatterAdd")) {
    const indices = viewIn(equation.inputs[0]);
    // All of the indices may be of one row.
    const isLong = output.dtype === "float32" && sizeOf(indices.shape) > FEW_TERMS;
    return [{
      kind: "scatterAdd",
      indices,
      updates: viewIn(equation.inputs[1]),
      output,
      ...(isLong && { lost: arena("lost by rounding", sizeOf(output.shape)) }),
    }];
  }
  if (isEquation(equation, "randomBits")) {
    return [{
      kind: "randomBits",
      key: viewIn(equation.inputs[0]),
      counter: viewIn(equation.inputs[1]),
      output,
    }];
  }
  if (isEquation(equation, "matmul")) return lowerMatmul(equation, output, lowering);
  throw new TypeError(`Cannot compile ${equation.operation.name} for ${context.backend}`);
}

function requireIndexed(
  equation: EquationOf<"gather"> | EquationOf<"scatterAdd">,
  { bindings }: LoweringContext,
): void {
  const { operation: { name }, inputs, outputs } = equation;
  const [table, indices] = name === "gather" ? inputs : [outputs[0], inputs[0]];
  requireRows(name, evaluateShape(table.shape, bindings)[0], evaluateShape(indices.shape, bindings));
}

function lowerMatmul(
  equation: EquationOf<"matmul">,
  output: View,
  { viewIn, addendsOf }: Lowering,
): Kernel[] {
  const { transposeLeft, transposeRight } = equation.attributes;
  const flip = (view: View, flipped: boolean) => {
    const axes = view.shape.map((_, axis) => axis);
    return flipped ? transposeView(view, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]) : view;
  };
  const left = flip(viewIn(equation.inputs[0]), transposeLeft);
  const right = flip(viewIn(equation.inputs[1]), transposeRight);
  const addends = placeAddends(addendsOf.get(equation) ?? [], viewIn, left.shape[0]);
  return [{
    kind: "matmul",
    left,
    right: { view: right },
    output,
    k: left.shape[left.shape.length - 1],
    addends,
  }];
}

function lowerScan(equation: EquationOf<"scan">, { stores, locate, depth, context }: Lowering): Kernel[] {
  const { body, constants, carries, length, reverse } = equation.attributes;
  const { bindings } = context;
  const given = new Map<Value, Located>();
  const initial: Kernel[] = [];
  const carryViews: View[] = [];
  body.inputs.forEach((value, index) => {
    const found = locate(equation.inputs[index]);
    if (index < constants) {
      given.set(value, found);
    } else if (index < constants + carries) {
      const [view] = stores.get(equation.outputs[index - constants]) as View[]; // scans always have memory
      initial.push(copy(found, view));
      carryViews.push(view);
      given.set(value, { view });
    } else {
      const axis = timeAxis(equation.inputs[index].shape.length);
      given.set(value, "view" in found ? { view: stepView(found.view, axis, depth) } : found);
    }
  });
  const targets = body.outputs.map((value, index) => {
    const [view] = stores.get(equation.outputs[index]) as View[];
    return index < carries ? view : stepView(view, timeAxis(value.shape.length + 1), depth);
  });
  const lowered = lowerBlock(body, given, targets, carryViews, depth + 1, context);
  const steps = evaluateDim(length, bindings);
  return [
    ...initial,
    { kind: "scan", length: steps, reverse, loop: depth, body: lowered, rows: rowsOf(lowered) },
  ];
}
