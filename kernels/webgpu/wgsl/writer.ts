/**
 * Writing WGSL: functions line by line. Every kernel is a function `(begin, end, lane, lanes, t0, …)` that
 * computes its units of work `[begin, end)` with `lanes` invocations; the calling one is number `lane`, and
 * `t0`, … are the indices of the enclosing loops. The caller decides what the invocations are: those of the
 * whole dispatch, or of a workgroup.
 */
import type { Dim } from "../../../src/tensor/dims.ts";
import type { Table } from "./table.ts";

/**
 * The declaration of `zero`, which functions may add to the bounds of their loops: no compiler knows the
 * length of an array, and none here is empty. A uniform would not do, as Mesa looks up uniforms before it
 * compiles.
 */
export function zeroIn(text: string): string {
  return /\bzero\b/.test(text) ? "  let zero = select(0, 1, arrayLength(&memory) == 0u);\n" : "";
}

/** What a module must declare for some functions: team memory, block memory for products, and subgroups. */
export type Need = "teams" | "blocks" | "subgroups";

/** Writes the body of one function. */
export class FunctionWriter {
  readonly #lines: string[] = [];
  #depth = 1;
  #names = 0;
  /** An addend to a loop's bound that hides the trip count from the compiler. */
  readonly zero: string;

  /**
   * @param use Records a call of a function of `functions.ts`; returns its name.
   * @param need Records what the module must declare.
   * @param table The words that it reads.
   * @param options `hidesLoopBounds` hides trip counts from the compiler: Mesa unrolls loops of up to 32
   * iterations, and then takes 2 ms for each read and write.
   */
  constructor(
    readonly use: (name: string) => string,
    readonly need: (what: Need) => void,
    readonly table: Table,
    { hidesLoopBounds }: { readonly hidesLoopBounds: boolean },
  ) {
    this.zero = hidesLoopBounds ? " + zero" : "";
  }

  line(text: string): void {
    this.#lines.push("  ".repeat(this.#depth) + text);
  }

  lines(...texts: readonly string[]): void {
    for (const text of texts) this.line(text);
  }

  /** A new name for a value. */
  let(value: string): string {
    const name = `v${this.#names++}`;
    this.line(`let ${name} = ${value};`);
    return name;
  }

  /** A new variable. */
  variable(value: string): string {
    const name = `x${this.#names++}`;
    this.line(`var ${name} = ${value};`);
    return name;
  }

  /** `head { … }`. */
  block(head: string, write: () => void): void {
    this.line(`${head} {`);
    this.#depth++;
    write();
    this.#depth--;
    this.line("}");
  }

  /** An expression for a size. */
  size(dim: Dim): string {
    return this.table.size(dim);
  }

  /** A loop that counts from 0; `write` receives the counter. */
  count(end: Dim, write: (index: string) => void): void {
    if (end === 1) return write("0");
    const name = `n${this.#names++}`;
    this.block(
      `for (var ${name} = 0; ${name} < ${this.size(end)}${this.zero}; ${name}++)`,
      () => write(name),
    );
  }

  /** A loop from one expression up to below another; `write` receives the counter. */
  loop(
    { from, to, step }: { readonly from: string; readonly to: string; readonly step: number | string },
    write: (index: string) => void,
  ): void {
    const name = `n${this.#names++}`;
    this.block(`for (var ${name} = ${from}; ${name} < ${to}; ${name} += ${step})`, () => write(name));
  }

  /**
   * Iterates over this invocation's items of the units of work, `perUnit` in each; `write` receives their
   * number.
   */
  overItems(perUnit: Dim, write: (item: string) => void): void {
    const from = perUnit === 1 ? "begin" : `begin * ${this.size(perUnit)}`,
      to = perUnit === 1 ? "end" : `end * ${this.size(perUnit)}`;
    this.block(`for (var item = ${from} + lane; item < ${to}; item += lanes)`, () => write("item"));
  }

  text(): string {
    return this.#lines.join("\n");
  }
}
