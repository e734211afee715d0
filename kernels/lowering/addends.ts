/**
 * Addends: what is added to a product right after it (a bias, the inputs' product next to the state's)
 * becomes part of the product's kernel, which adds it while its sums are still in registers. An addend may
 * cover the whole product or some of its columns, such as the gates of a cell.
 */
import { addDims, type Dim, divideDims } from "../../src/tensor/dims.ts";
import {
  type Equation,
  type EquationOf,
  isElementwise,
  isEquation,
  type Program,
  type Value,
} from "../../src/program/types.ts";
import type { Addend } from "./kinds/rule.ts";
import { applyView, isViewOperation, type ViewEquation } from "./view_operations.ts";
import { type Located, reshapeView, sameLoops, type View, viewOf } from "./views.ts";
import { sizeOf } from "../shapes.ts";

/** A Program whose products may have more than two inputs: their addends, which are in `of`. */
export interface WithAddends {
  readonly program: Program;
  readonly of: ReadonlyMap<Equation, readonly Addend[]>;
}

/** An addition to columns of a product. */
interface Addition extends Addend {
  readonly equation: Equation;
  /** The columns, as a value: the product itself or a view of it. */
  readonly piece: Value;
}

/** Moves additions into the products before them. Addends must be in memory before the product begins. */
export function absorbAdditions(
  program: Program,
  given: ReadonlyMap<Value, Located>,
  columns: number,
): WithAddends {
  const of = new Map<Equation, readonly Addend[]>();
  const absorber = new Absorber(program, given, columns);
  const gone = new Set<Equation>();
  /** Replacements for the results of additions that were removed. */
  const instead = new Map<Value, Value>();
  const products = new Set<Equation>();
  /** The new products by the first addition to them, which they replace in the order of equations. */
  const startingAt = new Map<Equation, Equation>();
  for (const equation of program.equations) {
    const additions = absorber.additionsTo(equation);
    if (!additions || additions.some((addition) => gone.has(addition.equation))) continue;
    const whole = additions.length === 1 && additions[0].piece === equation.outputs[0];
    const product: Equation = {
      ...equation,
      inputs: [...equation.inputs, ...additions.map(({ value }) => value)],
      outputs: whole ? additions[0].equation.outputs : equation.outputs,
    };
    products.add(equation);
    startingAt.set(absorber.firstOf(additions), product);
    of.set(product, additions);
    for (const { equation: addition, piece } of additions) {
      gone.add(addition);
      if (!whole) instead.set(addition.outputs[0], piece);
    }
  }
  if (gone.size === 0) return { program, of };
  const read = (value: Value): Value => instead.get(value) ?? value;
  const equations = program.equations.flatMap((equation): Equation[] => {
    const product = startingAt.get(equation);
    const kept = gone.has(equation) || products.has(equation)
      ? []
      : [{ ...equation, inputs: equation.inputs.map(read) }];
    if (!product) return kept;
    const addends = (of.get(product) ?? []).map((addend) => ({ ...addend, value: read(addend.value) }));
    const rewritten = { ...product, inputs: product.inputs.map(read) };
    of.delete(product);
    of.set(rewritten, addends);
    return [rewritten];
  });
  return { program: { ...program, equations, outputs: program.outputs.map(read) }, of };
}

class Absorber {
  readonly #readers = new Map<Value, (Equation | undefined)[]>();
  readonly #makers = new Map<Value, Equation>();
  readonly #places = new Map<Equation, number>();

  constructor(
    readonly program: Program,
    readonly given: ReadonlyMap<Value, Located>,
    /** Pieces begin at multiples of this many columns. */
    readonly columns: number,
  ) {
    const note = (value: Value, reader: Equation | undefined) => {
      const known = this.#readers.get(value);
      if (known) known.push(reader);
      else this.#readers.set(value, [reader]);
    };
    program.equations.forEach((equation, place) => {
      this.#places.set(equation, place);
      for (const value of equation.inputs) note(value, equation);
      for (const value of equation.outputs) this.#makers.set(value, equation);
    });
    for (const value of program.outputs) note(value, undefined);
  }

  /** All uses of a product, if they are additions to it or to columns of it; else undefined. */
  additionsTo(product: Equation): Addition[] | undefined {
    if (!isEquation(product, "matmul") || product.attributes.transposeLeft) return undefined;
    const { shape } = product.outputs[0];
    if (shape.length !== 2 || sizeOf(shape) === 0) return undefined;
    const whole = viewOf({ name: "", size: sizeOf(shape), storage: { kind: "arena" } }, shape, "float32");
    const additions: Addition[] = [];
    if (!this.#collect(product.outputs[0], whole, whole, additions) || additions.length === 0) {
      return undefined;
    }
    const start = this.#placeOf(this.firstOf(additions));
    const sorted = additions.toSorted((a, b) => a.first - b.first);
    const fits = sorted.every(({ value, first }, index) =>
      (index === 0 || first >= sorted[index - 1].first + sorted[index - 1].columns) &&
      this.#isInMemory(value, shape[0], start, product)
    );
    // Two pieces that are added to each other share one addition.
    if (new Set(additions.map(({ equation }) => equation)).size < additions.length) return undefined;
    return fits ? sorted : undefined;
  }

  /** The addition that comes first in the Program. */
  firstOf(additions: readonly { readonly equation: Equation }[]): Equation {
    return additions.map(({ equation }) => equation).reduce((a, b) =>
      this.#placeOf(b) < this.#placeOf(a) ? b : a
    );
  }

  #placeOf(equation: Equation): number {
    return this.#places.get(equation) ?? Infinity;
  }

  #collect(piece: Value, view: View, whole: View, into: Addition[]): boolean {
    const readers = this.#readers.get(piece) ?? [];
    // Views that are each read by one addition, or a single addition.
    const [only] = readers;
    if (readers.length === 1 && isEquation(only, "add")) {
      const addition = additionTo(only, piece, view, whole);
      if (!addition || addition.first % this.columns !== 0) return false;
      into.push(addition);
      return true;
    }
    return readers.every((reader) => {
      if (!reader || !(isEquation(reader, "slice") || isEquation(reader, "reshape"))) return false;
      const next = applyView(reader, view);
      return next !== undefined && this.#collect(reader.outputs[0], next, whole, into);
    });
  }

  /**
   * Whether the value lies in memory, in rows, before the equation at this place, and does not depend on the
   * product.
   */
  #isInMemory(value: Value, rows: Dim, place: number, product: Equation): boolean {
    const views: ViewEquation[] = [];
    let base = value;
    let maker = this.#makers.get(base);
    for (; maker && isViewOperation(maker); maker = this.#makers.get(base)) {
      views.unshift(maker);
      [base] = maker.inputs;
    }
    const found = this.given.get(base);
    if (maker ? isElementwise(maker) || this.#placeOf(maker) > place : !found || !("view" in found)) {
      return false;
    }
    if (maker === product || maker?.inputs.length === 0) return false;
    // An output, or a part of a concatenation, has a given place, which need not be in rows.
    const readers = this.#readers.get(base) ?? [];
    if (maker && readers.some((reader) => reader === undefined || isEquation(reader, "concat"))) return false;
    let view: View | undefined = found && "view" in found
      ? found.view
      : viewOf({ name: "", size: sizeOf(base.shape), storage: { kind: "arena" } }, base.shape, "float32");
    for (const equation of views) view = view && applyView(equation, view);
    return view !== undefined && addendView(view, rows) !== undefined;
  }
}

/** The addition to a piece of a product, if the piece consists of whole columns. */
function additionTo(
  equation: EquationOf<"add">,
  piece: Value,
  view: View,
  whole: View,
): Addition | undefined {
  const [left, right] = equation.inputs;
  if (left === right) return undefined;
  const [rows, all] = whole.shape;
  const columns = divideDims(sizeOf(view.shape), rows);
  const first = view.offset;
  // Pieces of columns have fixed places in a row.
  if (typeof columns !== "number" || typeof first !== "number" || typeof all !== "number") return undefined;
  const matrix = reshapeView(view, [rows, columns]);
  const fits = matrix !== undefined && (columns === 1 || matrix.strides[1] === 1) &&
    (rows === 1 || matrix.strides[0] === all) && first + columns <= all;
  return fits ? { equation, piece, value: left === piece ? right : left, first, columns } : undefined;
}

/** An addend as `[rows, columns]` with contiguous columns; undefined if its layout differs. */
export function addendView(view: View, rows: Dim): Columns | undefined {
  const columns = divideDims(sizeOf(view.shape), rows);
  const matrix = typeof columns === "number" ? reshapeView(view, [rows, columns]) : undefined;
  if (typeof columns !== "number" || !matrix || (columns !== 1 && matrix.strides[1] !== 1)) return undefined;
  return { ...matrix, shape: [rows, columns], strides: [matrix.strides[0], 1] };
}

/** Contiguous columns of rows. */
export interface Columns extends View {
  readonly shape: readonly [Dim, number];
}

/** The places of addends; adjacent ones in one buffer are merged. */
export function placeAddends(
  addends: readonly Addend[],
  viewIn: (value: Value) => View,
  rows: Dim,
): { first: number; view: Columns }[] {
  const placed: { first: number; view: Columns }[] = [];
  for (const { first, value } of addends) {
    const view = addendView(viewIn(value), rows);
    if (!view) throw new Error("An addend does not lie in rows");
    const before = placed[placed.length - 1];
    if (before && runsOn(before, { first, view })) {
      before.view = {
        ...before.view,
        shape: [rows, before.view.shape[1] + view.shape[1]],
        strides: view.strides,
      };
    } else placed.push({ first, view });
  }
  return placed;
}

/** Whether the second addend directly follows the first, in the product and in memory. */
function runsOn(a: { readonly first: number; readonly view: Columns }, b: typeof a): boolean {
  const columns = a.view.shape[1];
  return a.first + columns === b.first && a.view.buffer === b.view.buffer &&
    addDims(a.view.offset, columns) === b.view.offset &&
    (a.view.shape[0] === 1 || a.view.strides[0] === b.view.strides[0]) &&
    sameLoops(a.view, b.view);
}
