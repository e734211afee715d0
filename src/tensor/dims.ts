/**
 * Sizes of axes. A `Dim` is a number, or a polynomial over named symbols (`batch`, `time`) whose value is
 * known only when a Program runs. Polynomials are interned: equal sizes are `===`, so shapes compare by
 * elements.
 */
import { checkList, checkText, describeValue, wrongKind } from "../describe.ts";
import { INSPECT } from "../inspect.ts";
import { quoted } from "../quoted.ts";
import { nameQuotient, quotientOf } from "./quotients.ts";
import type { SymbolicDim } from "./symbolic.ts";

export type { SymbolicDim } from "./symbolic.ts";

/** The size of one axis. */
export type Dim = number | SymbolicDim;

/** The sizes of all axes, outermost first. */
export type Shape = readonly Dim[];

/** The value of every symbol of a Program. */
export type Bindings = Readonly<Record<string, number>>;

const interned = new Map<string, SymbolicDim>();

/** The open sizes made here, rather than by another copy of the library. */
const ours = new WeakSet<object>();

function print(terms: Readonly<Record<string, number>>): string {
  let text = "";
  for (const monomial of Object.keys(terms).sort().reverse()) {
    const coefficient = terms[monomial];
    const sign = coefficient < 0 ? "-" : text === "" ? "" : "+";
    const size = Math.abs(coefficient);
    text += sign + (monomial === "" ? size : size === 1 ? monomial : `${size}*${monomial}`);
  }
  return text;
}

/** Empty terms without the members of Object, since a size may be named like one. */
function noTerms(): Record<string, number> {
  return Object.create(null);
}

function fromTerms(terms: Record<string, number>): Dim {
  const kept = noTerms();
  for (const monomial of Object.keys(terms)) if (terms[monomial] !== 0) kept[monomial] = terms[monomial];
  const monomials = Object.keys(kept);
  if (monomials.length === 0) return 0;
  if (monomials.length === 1 && monomials[0] === "") return kept[""];
  const text = print(kept);
  let dim = interned.get(text);
  if (!dim) {
    dim = Object.freeze(Object.defineProperty(
      {
        terms: Object.freeze(kept),
        toString: () => text,
        [Symbol.toPrimitive]: (hint: string) => hint === "string" ? text : notANumber(text),
      },
      INSPECT,
      { value: () => text },
    ));
    interned.set(text, dim);
    ours.add(dim);
  }
  return dim;
}

function notANumber(text: string): never {
  throw new TypeError(
    `Cannot compute with the size ${text} as with a number: it is known only when the function runs, so that it ` +
      "can differ from call to call; give specs with fixed sizes if the function needs the number",
  );
}

function isOpen(dim: unknown): dim is SymbolicDim {
  return typeof dim === "object" && dim !== null && "terms" in dim && Object.hasOwn(dim, "toString");
}

/**
 * Throws a TypeError unless `dim` is an integer or an open size. An open size from another copy of the
 * library never equals one of this copy, so it is refused too.
 *
 * @param what What cannot be done, such as `reshape`.
 */
export function checkDim(what: string, dim: unknown, name = "a size"): asserts dim is Dim {
  if (typeof dim === "number" ? Number.isInteger(dim) : isOpen(dim) && ours.has(dim)) return;
  if (isOpen(dim)) {
    throw new TypeError(
      `Cannot ${what}: ${name} is the open size ${dim} of another copy of the library; import all of it from one place`,
    );
  }
  throw wrongKind(what, dim, name, 'a whole number or an open size such as symbol("batch")');
}

/** Throws a TypeError unless `shape` is an array of integers and open sizes. */
export function checkShape(what: string, shape: unknown, name = "shape"): asserts shape is Shape {
  checkList(what, shape, name, "an array of sizes");
  for (let axis = 0; axis < shape.length; axis++) {
    if (!Number.isInteger(shape[axis])) checkDim(what, shape[axis], `${name}[${axis}]`);
  }
}

function termsOf(dim: Dim): Readonly<Record<string, number>> {
  checkDim("compute with sizes", dim);
  return typeof dim === "number" ? { "": dim } : dim.terms;
}

/** The size named `name`, such as `batch`. */
export function symbol(name: string): Dim {
  checkText("name a size", name, "the name");
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    throw new SyntaxError(`Cannot name a size ${quoted(name)}: not an identifier`);
  }
  return fromTerms({ [name]: 1 });
}

/** The symbols whose values are at least 1. */
const positive = new Set<string>();

/** The size named `name`, which is at least 1 in every call. */
export function positiveSymbol(name: string): Dim {
  positive.add(name);
  return symbol(name);
}

/** Whether the values of a symbol are at least 1. */
export function isPositiveSymbol(name: string): boolean {
  return positive.has(name);
}

/** Whether a size is at least 1 in every call. */
export function isPositive(dim: Dim): boolean {
  if (typeof dim === "number") return dim >= 1;
  const terms = Object.entries(dim.terms);
  return terms.every(([, coefficient]) => coefficient > 0) &&
    leastValue(dim, (name) => positive.has(name) ? 1 : 0) >= 1;
}

/** The value of a size whose symbols have their least values; no coefficient may be negative. */
function leastValue(dim: Dim, leastOf: (name: string) => number): number {
  if (typeof dim === "number") return dim;
  return Object.entries(dim.terms).reduce((sum, [monomial, coefficient]) => {
    const factors = symbolsOf(monomial).map((name) => {
      const quotient = quotientOf(name);
      return quotient ? Math.floor(leastValue(quotient.dividend, leastOf) / quotient.divisor) : leastOf(name);
    });
    return sum + factors.reduce((product, factor) => product * factor, coefficient);
  }, 0);
}

/** The symbols of a monomial; one may be the name of a quotient. */
export function symbolsOf(monomial: string): readonly string[] {
  return monomial === "" ? [] : monomial.split("*");
}

/** The product of two monomials. */
function productOf(a: string, b: string): string {
  if (a === "" || b === "") return a + b;
  return [...symbolsOf(a), ...symbolsOf(b)].sort().join("*");
}

/** `a + b`. */
export function addDims(a: Dim, b: Dim): Dim {
  if (Number.isInteger(a) && Number.isInteger(b)) return Number(a) + Number(b);
  const terms = termsOf(a), more = termsOf(b);
  if (a === 0 || b === 0) return a === 0 ? b : a;
  const sum = Object.assign(noTerms(), terms);
  for (const monomial of Object.keys(more)) sum[monomial] = (sum[monomial] ?? 0) + more[monomial];
  return fromTerms(sum);
}

/** `a - b`. */
export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims(a, multiplyDims(b, -1));
}

/** `a · b`. */
export function multiplyDims(a: Dim, b: Dim): Dim {
  if (Number.isInteger(a) && Number.isInteger(b)) return Number(a) * Number(b) + 0; // never -0
  const lefts = termsOf(a), rights = termsOf(b);
  if (a === 1 || b === 1) return a === 1 ? b : a;
  const product = noTerms();
  for (const left of Object.keys(lefts)) {
    for (const right of Object.keys(rights)) {
      const monomial = productOf(left, right);
      product[monomial] = (product[monomial] ?? 0) + lefts[left] * rights[right];
    }
  }
  return fromTerms(product);
}

/**
 * `a / b` if there is such a size; otherwise undefined. By long division: of a product, the leading term is that of
 * both factors' leading terms, so each term of the quotient follows from what is left of `a`.
 */
export function divideDims(a: Dim, b: Dim): Dim | undefined {
  if (b === 0) return undefined;
  const [symbols, factor] = leadingTerm(b);
  let rest = a;
  const quotient = noTerms();
  while (rest !== 0) {
    const [monomial, coefficient] = leadingTerm(rest);
    const left = [...symbolsOf(monomial)];
    if (coefficient % factor !== 0) return undefined;
    for (const name of symbolsOf(symbols)) {
      const at = left.indexOf(name);
      if (at < 0) return undefined;
      left.splice(at, 1);
    }
    const term = { [left.join("*")]: coefficient / factor };
    Object.assign(quotient, term);
    rest = subtractDims(rest, multiplyDims(fromTerms(term), b));
  }
  return fromTerms(quotient);
}

/** The term with the most symbols, of those the last by name: an order that multiplication keeps. */
function leadingTerm(dim: Dim): readonly [monomial: string, coefficient: number] {
  const degree = (monomial: string) => symbolsOf(monomial).length;
  return Object.entries(termsOf(dim)).reduce((most, term) => {
    const more = degree(term[0]) - degree(most[0]);
    return more > 0 || (more === 0 && isAfter(term[0], most[0])) ? term : most;
  });
}

/** Whether a monomial comes after another of as many symbols: at the first symbol that differs, its own is later. */
function isAfter(a: string, b: string): boolean {
  const others = symbolsOf(b);
  const at = symbolsOf(a).findIndex((name, index) => name !== others[index]);
  return at >= 0 && symbolsOf(a)[at] > others[at];
}

/**
 * `⌊a / divisor⌋`. Of an open size, what the divisor divides is taken out; the rest is a symbol of its own, such as
 * `floor((time+1)/2)`, whose value follows from those in it. None of its coefficients is negative.
 */
export function floorDivideDims(a: Dim, divisor: number): Dim {
  if (typeof a === "number") return Math.floor(a / divisor);
  const whole = noTerms(), rest = noTerms();
  for (const [monomial, coefficient] of Object.entries(a.terms)) {
    whole[monomial] = Math.floor(coefficient / divisor);
    rest[monomial] = coefficient - whole[monomial] * divisor;
  }
  const dividend = fromTerms(rest);
  const quotient = typeof dividend === "number"
    ? Math.floor(dividend / divisor)
    : fromTerms({ [nameQuotient(dividend, divisor)]: 1 });
  return addDims(fromTerms(whole), quotient);
}

/** The number of elements of a tensor of this shape. */
export function sizeOfShape(shape: Shape): Dim {
  return shape.reduce<Dim>((size, dim) => multiplyDims(size, dim), 1);
}

/** The value of `dim` for the symbols in `bindings`; a `RangeError` names an unbound symbol. */
export function evaluateDim(dim: Dim, bindings: Bindings): number {
  if (typeof dim === "number") return dim;
  let value = 0;
  for (const [monomial, coefficient] of Object.entries(dim.terms)) {
    let product = coefficient;
    for (const name of symbolsOf(monomial)) product *= valueOfSymbol(name, bindings, dim);
    value += product;
  }
  return value;
}

/** The value of a symbol of a size, which may be a quotient. */
export function valueOfSymbol(name: string, bindings: Bindings, dim: Dim = symbolNamed(name)): number {
  if (Object.hasOwn(bindings, name)) return bindings[name];
  const quotient = quotientOf(name);
  if (quotient) return Math.floor(evaluateDim(quotient.dividend, bindings) / quotient.divisor);
  throw new RangeError(`Cannot evaluate the size ${dim}: ${name} has no value`);
}

/** The size of a symbol that exists. */
function symbolNamed(name: string): Dim {
  return fromTerms({ [name]: 1 });
}

/** Whether the symbol is in a size, or in what a quotient in it divides. */
export function mentionsSymbol(dim: Dim, name: string): boolean {
  return typeof dim !== "number" &&
    Object.keys(dim.terms).some((monomial) =>
      symbolsOf(monomial).some((each) =>
        each === name || mentionsSymbol(quotientOf(each)?.dividend ?? 0, name)
      )
    );
}

/**
 * Whether `a <= b` for all values of their symbols, which are at least 1; false if that is not so, or cannot be
 * seen from the coefficients.
 */
export function isAtMost(a: Dim, b: Dim): boolean {
  if (typeof a === "number" && typeof b === "number") return a <= b;
  // With 1 + s for every symbol (its least value and s for a quotient), the difference has no negative coefficient.
  const difference = subtractDims(b, a);
  const terms = typeof difference === "number" ? { "": difference } : difference.terms;
  const shifted = Object.entries(terms).reduce<Dim>((sum, [monomial, coefficient]) => {
    return addDims(
      sum,
      symbolsOf(monomial).reduce<Dim>((product, name) => {
        const alone = symbolNamed(name);
        return multiplyDims(product, addDims(alone, quotientOf(name) ? leastValue(alone, () => 1) : 1));
      }, coefficient),
    );
  }, 0);
  return Object.values(termsOf(shifted)).every((coefficient) => coefficient >= 0);
}

/** Every dim of `shape` as a number. */
export function evaluateShape(shape: Shape, bindings: Bindings): number[] {
  return shape.map((dim) => evaluateDim(dim, bindings));
}

/** Whether both shapes have the same sizes. */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}

/** A shape as text: `[batch, 28, 28]`. */
export function printShape(shape: Shape): string {
  return `[${shape.map(printDim).join(", ")}]`;
}

/** A size as text. A value that is not a size is described: it may be named in an error about itself. */
function printDim(dim: unknown): string {
  return typeof dim === "number" || isOpen(dim) ? String(dim) : describeValue(dim);
}

/**
 * `dim` as a number, for code that cannot handle a size known only at run time.
 *
 * @throws RangeError if the size is symbolic.
 */
export function fixedDim(dim: Dim, what = "This code"): number {
  checkDim("use a size as a number", dim);
  if (typeof dim === "number") return dim;
  throw new RangeError(`${what} needs a fixed size: current value is ${dim}, known only at run time`);
}
