/**
 * Lowering: from a Program to kernels over views. `addends.ts` and `body.ts` prepare a body (a Program, or
 * the body of a scan), `placement.ts` decides where its results are written, and this file turns its
 * equations into kernels, by the rules of `rules.ts`. What only one backend does with the kernels, such as
 * packing the operands of products, is in that backend's folder.
 */
import type { Bindings } from "../../src/tensor/dims.ts";
import { rangeCheck } from "../../src/program/ranges.ts";
import type { ElementwiseEquation, Program, Value } from "../../src/program/types.ts";
import { absorbAdditions } from "./addends.ts";
import { constantTensor, prepareBody, type PreparedBody } from "./body.ts";
import { type Kernel, kernelFunctions } from "./kernels.ts";
import type { FusedKernel, FusedOperation, Operand } from "./kinds/fused.ts";
import { copy, operandOf } from "./kinds/fused.ts";
import { arena, type Lowering } from "./kinds/rule.ts";
import { placeCarries, type Stores, storesOf } from "./placement.ts";
import { rowsOf } from "./rows.ts";
import { lowerByRule, type RuledName } from "./rules.ts";
import { applyView, isViewOperation } from "./view_operations.ts";
import { broadcastView, type Buffer, type Located, type View, viewOf } from "./views.ts";
import { sizeOf } from "../shapes.ts";

/** What the lowering of an executable shares among its blocks. */
export interface LoweringContext {
  /** Pieces of a product that have their own addends begin at multiples of this many columns. */
  readonly columns: number;
}

/** A lowered Program. */
export interface Lowered<Kernel> {
  readonly kernels: readonly Kernel[];
  /** What the sizes of a call must meet, and throws otherwise. */
  readonly checks: readonly ((bindings: Bindings) => void)[];
}

/** Lowers a whole Program: the addresses of inputs and outputs are looked up at every call. */
export function lowerProgram(program: Program, { columns }: LoweringContext): Lowered<Kernel> {
  const outside = (kind: "input" | "output") => ({ shape, dtype }: Value, index: number): View =>
    viewOf({ name: `${kind} ${index}`, size: sizeOf(shape), storage: { kind, index } }, shape, dtype);
  const checks: ((bindings: Bindings) => void)[] = [];
  const inputs = program.inputs.map(outside("input"));
  const given = new Map(program.inputs.map((value, index) => [value, { view: inputs[index] }]));
  const context: BodyContext = { columns, check: (holds) => checks.push(holds) };
  const kernels = lowerBody(program, given, program.outputs.map(outside("output")), [], 0, context);
  return { kernels, checks };
}

/** What all bodies of a lowering share. */
interface BodyContext extends LoweringContext, Pick<Lowering, "check"> {}

/** Lowers a body. `targets` are the places of the outputs; the first ones are those of the `carries`. */
function lowerBody(
  program: Program,
  given: ReadonlyMap<Value, Located>,
  targets: readonly View[],
  carries: readonly View[],
  depth: number,
  context: BodyContext,
): Kernel[] {
  for (const equation of program.equations) {
    const inRange = rangeCheck(equation);
    if (inRange) context.check(inRange);
  }
  const { program: absorbed, of: addendsOf } = absorbAdditions(program, given, context.columns);
  const body = prepareBody(
    absorbed,
    given,
    targets.map((view, i) => i < carries.length ? undefined : view),
  );
  const late = placeCarries(body, carries);
  const stores = storesOf(body, late.map(({ from }) => from));
  const locate = locatorOf(body, stores);
  const storeOf = (value: Value) => stores.get(value)?.[0] ?? failUnplaced(value, body);
  const lowering: Lowering<Kernel> = {
    check: context.check,
    depth,
    locate,
    viewIn: (value) => inMemory(locate(value), value),
    storeOf,
    addendsOf,
    lowerBody: (inner, given, targets, carries) => {
      const kernels = lowerBody(inner, given, targets, carries, depth + 1, context);
      return { kernels, rows: rowsOf(kernels, kernelFunctions) };
    },
  };
  const kernels = body.units.flatMap((unit): readonly Kernel[] => {
    if ("fused" in unit) return [fuse(unit.fused, { body, stores, locate })];
    const { equation } = unit;
    if (isViewOperation(equation)) return [copy(locate(equation.inputs[0]), storeOf(equation.outputs[0]))];
    // A result with several places is computed at the first one and copied to the others.
    const more = equation.outputs.flatMap((value) =>
      (stores.get(value) ?? []).slice(1).map((to) => copy(locate(value), to))
    );
    return [...lowerByRule<RuledName>(equation, storeOf(equation.outputs[0]), lowering), ...more];
  });
  return [
    ...kernels,
    ...copyCarries(late.map(({ from, to }) => ({ from: locate(from), to })), carries),
  ];
}

/** Where the values of a body are: given from outside, written by its kernels, or a view of another one. */
function locatorOf(body: PreparedBody, stores: Stores): (value: Value) => Located {
  const located = new Map<Value, Located>(body.given);
  const find = (value: Value): Located | undefined => {
    const maker = body.makers.get(value);
    const [stored] = stores.get(value) ?? [];
    if (stored) {
      // A copy is written in the shape of its source, and read in its own.
      const isCopy = maker && body.copies.has(maker);
      return {
        view: isCopy ? viewOf(stored.buffer, value.shape, value.dtype) : stored,
      };
    }
    if (!isViewOperation(maker)) return undefined;
    const input = locate(maker.inputs[0]);
    if ("constant" in input) return input;
    const view = applyView(maker, input.view);
    return view && { view };
  };
  const locate = (value: Value): Located => {
    const found = located.get(value) ?? find(value) ?? failUnplaced(value, body);
    located.set(value, found);
    return found;
  };
  return locate;
}

function failUnplaced(value: Value, { makers }: PreparedBody): never {
  const name = makers.get(value)?.operation.name ?? "nothing";
  throw new Error(`A ${value.dtype} value of ${name} has no place in memory`);
}

/** A value in memory; a constant is one element with strides of zero. */
function inMemory(found: Located, { shape, dtype }: Value): View {
  if ("view" in found) return found.view;
  const { constant } = found;
  const value = typeof constant === "number"
    ? constantTensor(constant, found.dtype)
    : (bindings: Bindings) => constantTensor(constant(bindings), found.dtype);
  const buffer: Buffer = { name: "constant", size: 1, storage: { kind: "constant", value } };
  return broadcastView(viewOf(buffer, [], dtype), shape, []);
}

/**
 * Copies of carries at the end of a step; a copy that reads a carry goes through a temporary, so that carries
 * may swap.
 */
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

/** A body whose values have places. */
interface Placed {
  readonly body: PreparedBody;
  readonly stores: Stores;
  readonly locate: (value: Value) => Located;
}

/** One kernel for elementwise equations. */
function fuse(
  equations: readonly ElementwiseEquation[],
  { body, stores, locate }: Placed,
): FusedKernel {
  const own = new Set<unknown>(equations);
  const operations = equations.map((equation): FusedOperation => {
    const [output] = equation.outputs;
    const { name } = equation.operation;
    return {
      name: name === "stopGradient" ? "copy" : name,
      operands: equation.inputs.map((input): Operand =>
        own.has(body.makers.get(input)) ? { kind: "register", value: input } : operandOf(locate(input))
      ),
      output,
      inputDType: equation.inputs[0].dtype,
      stores: stores.get(output) ?? [],
    };
  });
  return { kind: "fused", shape: equations[0].outputs[0].shape, operations };
}
