/**
 * Writing WGSL: functions line by line. Every kernel is a function `(begin, end, lane, lanes, t0, …)` that does its
 * units of work `[begin, end)` with `lanes` invocations, of which the calling one is `lane`; `t0`, … are the indices of
 * the loops around it. Whoever calls it decides what an invocation is: one of the whole dispatch, or of a workgroup.
 */

/**
 * The declaration of `zero`, which a function's text may have in the bounds of its loops: what the length of an array is
 * no compiler knows, and none here is empty. Mesa looks up uniforms before it compiles.
 */
export function zeroIn(text: string): string {
  return /\bzero\b/.test(text) ? "  let zero = select(0, 1, arrayLength(&memory) == 0u);\n" : "";
}

/** What a module must declare for some functions: the memory of teams, that of blocks of products, and subgroups. */
export type Need = "teams" | "blocks" | "subgroups";

/** Writes the body of one function. */
export class FunctionWriter {
  readonly #lines: string[] = [];
  #depth = 1;
  #names = 0;
  /** What the bound of a loop has behind it, so that no compiler knows how often it goes round. */
  readonly zero: string;

  /**
   * @param use Notes that a function of `functions.ts` is called; gives its name.
   * @param need Notes what the module must declare.
   * @param options With `keepsLoops` no compiler knows how often a loop goes round: Mesa writes out what goes round 32
   * times, and then takes 2 ms for each read and write.
   */
  constructor(
    readonly use: (name: string) => string,
    readonly need: (what: Need) => void,
    { keepsLoops }: { readonly keepsLoops: boolean },
  ) {
    this.zero = keepsLoops ? " + zero" : "";
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

  /** A loop that counts from 0; `write` is given the counter. */
  count(end: number, write: (index: string) => void): void {
    if (end === 1) return write("0");
    const name = `n${this.#names++}`;
    this.block(`for (var ${name} = 0; ${name} < ${end}${this.zero}; ${name}++)`, () => write(name));
  }

  /** A loop from an expression to below another one; `write` is given the counter. */
  loop(
    { from, to, step }: { readonly from: string; readonly to: string; readonly step: number },
    write: (index: string) => void,
  ): void {
    const name = `n${this.#names++}`;
    this.block(`for (var ${name} = ${from}; ${name} < ${to}; ${name} += ${step})`, () => write(name));
  }

  /** The items of the units of work, so many in each, one by one for this invocation; `write` is given their number. */
  overItems(perUnit: number, write: (item: string) => void): void {
    const from = perUnit === 1 ? "begin" : `begin * ${perUnit}`,
      to = perUnit === 1 ? "end" : `end * ${perUnit}`;
    this.block(`for (var item = ${from} + lane; item < ${to}; item += lanes)`, () => write("item"));
  }

  text(): string {
    return this.#lines.join("\n");
  }
}
