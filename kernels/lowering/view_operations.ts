/**
 * The operations that only change where elements lie, with their effect on a view; and those known at compile
 * time.
 */
import type { Equation, EquationOf, OperationName } from "../../src/program/types.ts";
import type { Applied } from "./kinds/rule.ts";
import {
  broadcastView,
  reshapeView,
  reverseView,
  sliceView,
  transposeView,
  type View,
  windowsView,
} from "./views.ts";

/** The name of an operation that only changes where elements lie. */
export type ViewName = "broadcast" | "reshape" | "transpose" | "reverse" | "slice" | "windows";
/** An equation of one of these. */
export type ViewEquation = { [Name in ViewName]: EquationOf<Name> }[ViewName];

/** The name of an operation without inputs, whose value is known at compile time. */
export type KnownName = "constant" | "iota" | "size";
/** An equation of one of these. */
export type KnownEquation = { [Name in KnownName]: EquationOf<Name> }[KnownName];

/** The view that each returns; undefined if a copy is needed. */
const views: {
  readonly [Name in ViewName]: (
    view: View,
    equation: Applied<Name>,
  ) => View | undefined;
} = {
  broadcast: (view, { attributes: { shape, axes } }) => broadcastView(view, shape, axes),
  reshape: (view, { attributes: { shape } }) => reshapeView(view, shape),
  transpose: (view, { attributes: { permutation } }) => transposeView(view, permutation),
  reverse: (view, { attributes: { axes } }) => reverseView(view, axes),
  slice: (view, { attributes: { start, size, stride } }) => sliceView(view, start, size, stride),
  windows: (view, { attributes }) => windowsView(view, attributes),
};

/** Whether the equation only changes where elements lie. */
export function isViewOperation(equation: Equation | undefined): equation is ViewEquation {
  return equation !== undefined && equation.operation.name in views;
}

/** The view that a view operation returns; undefined if a copy is needed. */
export function applyView(equation: ViewEquation, view: View): View | undefined {
  return apply<ViewName>(equation, view);
}

function apply<Name extends ViewName>(equation: Applied<Name>, view: View): View | undefined {
  return views[equation.operation.name](view, equation);
}

const KNOWN: ReadonlySet<OperationName> = new Set<KnownName>(["constant", "iota", "size"]);

/** Whether the equation's value is known at compile time. */
export function isKnown(equation: Equation): equation is KnownEquation {
  return KNOWN.has(equation.operation.name);
}
