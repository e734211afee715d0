/** The operations that only say where elements lie, and what each makes of a view; and those that a compiler knows. */
import { type Bindings, evaluateShape } from "../../src/tensor/dims.ts";
import type { Equation, EquationOf, OperationName } from "../../src/program/types.ts";
import type { Applied } from "./kinds/rule.ts";
import { broadcastView, reshapeView, reverseView, sliceView, transposeView, type View } from "./views.ts";

/** The name of an operation that only says where elements lie. */
export type ViewName = "broadcast" | "reshape" | "transpose" | "reverse" | "slice";
/** An equation of one of these. */
export type ViewEquation = { [Name in ViewName]: EquationOf<Name> }[ViewName];

/** The name of an operation without inputs, whose values are known while compiling. */
export type KnownName = "constant" | "iota" | "size";
/** An equation of one of these. */
export type KnownEquation = { [Name in KnownName]: EquationOf<Name> }[KnownName];

/** What each makes of a view; undefined where that takes a copy. */
const views: {
  readonly [Name in ViewName]: (
    view: View,
    equation: Applied<Name>,
    bindings: Bindings,
  ) => View | undefined;
} = {
  broadcast: (view, { attributes: { shape, axes } }, bindings) =>
    broadcastView(view, evaluateShape(shape, bindings), axes),
  reshape: (view, { attributes: { shape } }, bindings) => reshapeView(view, evaluateShape(shape, bindings)),
  transpose: (view, { attributes: { permutation } }) => transposeView(view, permutation),
  reverse: (view, { attributes: { axes } }) => reverseView(view, axes),
  slice: (view, { attributes: { start, size, stride } }, bindings) =>
    sliceView(view, evaluateShape(start, bindings), evaluateShape(size, bindings), stride),
};

/** Whether the equation only says where elements lie. */
export function isViewOperation(equation: Equation | undefined): equation is ViewEquation {
  return equation !== undefined && equation.operation.name in views;
}

/** What a view operation makes of a view; undefined where it takes a copy. */
export function applyView(equation: ViewEquation, view: View, bindings: Bindings): View | undefined {
  return apply<ViewName>(equation, view, bindings);
}

function apply<Name extends ViewName>(
  equation: Applied<Name>,
  view: View,
  bindings: Bindings,
): View | undefined {
  return views[equation.operation.name](view, equation, bindings);
}

const KNOWN: ReadonlySet<OperationName> = new Set<KnownName>(["constant", "iota", "size"]);

/** Whether the equation's value is known while compiling. */
export function isKnown(equation: Equation): equation is KnownEquation {
  return KNOWN.has(equation.operation.name);
}
