/** What an executable of any backend has compiled for the sizes of its calls. */
import type { Program } from "../src/program/types.ts";
import type { Bindings } from "../src/tensor/dims.ts";
import type { Input } from "./backend.ts";
import { bindInputs, haveShapes, keyOf } from "./bind_inputs.ts";

/** The most sets of sizes that stay compiled. */
const KEPT = 8;

/**
 * The compiled code for each set of sizes. It keeps {@linkcode KEPT} of them, and evicts the least recently
 * used. Consecutive calls with the same sizes compare only the shapes of their inputs.
 */
export class CompiledSizes<Compiled extends object> implements Disposable {
  readonly #program: Program;
  readonly #drop: (compiled: Compiled) => void;
  /** By {@linkcode keyOf}, least recently used first. */
  readonly #compiled = new Map<string, Compiled>();
  /** Sizes that are being compiled. */
  readonly #compiling = new Map<string, Promise<void>>();
  /** The compiled code of the last call, and the shapes of its inputs. */
  #latest: { readonly shapes: readonly (readonly number[])[]; readonly compiled: Compiled } | undefined;
  #disposed = false;

  /** @param drop Releases what compiled code holds; default: nothing. */
  constructor(program: Program, drop: (compiled: Compiled) => void = () => {}) {
    this.#program = program;
    this.#drop = drop;
  }

  /**
   * The compiled code of the last call, if these inputs have the same sizes. With it a call can begin before
   * anything is awaited, so that what its caller does next, such as disposing of an input, comes after it.
   *
   * @throws Error once this is disposed.
   */
  again(inputs: readonly Input[]): Compiled | undefined {
    this.#check();
    const latest = this.#latest;
    return latest && haveShapes(inputs, latest.shapes, this.#program) ? latest.compiled : undefined;
  }

  /**
   * The compiled code for these inputs, if there is any.
   *
   * @throws TypeError or RangeError if they do not match the Program's inputs; Error once this is disposed.
   */
  get(inputs: readonly Input[]): Compiled | undefined {
    return this.again(inputs) ?? this.#known(inputs, keyOf(bindInputs(this.#program, inputs)));
  }

  /** The same, or what `compile` returns now. */
  getOr(inputs: readonly Input[], compile: (bindings: Bindings) => Compiled): Compiled {
    const again = this.again(inputs);
    if (again) return again;
    const bindings = bindInputs(this.#program, inputs), key = keyOf(bindings);
    if (!this.#compiled.has(key)) this.#add(key, compile(bindings));
    return this.#known(inputs, key) as Compiled; // it was just added
  }

  /**
   * The same, asynchronously; calls during compilation wait for it, and other sizes may evict the result
   * meanwhile.
   */
  async find(
    inputs: readonly Input[],
    compile: (bindings: Bindings, key: string) => Promise<Compiled>,
  ): Promise<Compiled> {
    const again = this.again(inputs);
    if (again) return again;
    const bindings = bindInputs(this.#program, inputs), key = keyOf(bindings);
    for (;;) {
      const compiled = this.#known(inputs, key);
      if (compiled) return compiled;
      let pending = this.#compiling.get(key);
      if (!pending) {
        pending = this.#compile(key, () => compile(bindings, key));
        this.#compiling.set(key, pending);
      }
      await pending;
    }
  }

  /** Everything compiled, with its key, least recently used first. */
  get entries(): readonly (readonly [string, Compiled])[] {
    return [...this.#compiled];
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const key of [...this.#compiled.keys()]) this.#remove(key);
  }

  /** The compiled code for a key, marked as used for these inputs. */
  #known(inputs: readonly Input[], key: string): Compiled | undefined {
    this.#check();
    const compiled = this.#compiled.get(key);
    if (!compiled) return undefined;
    this.#compiled.delete(key);
    this.#compiled.set(key, compiled);
    this.#latest = { shapes: inputs.map(({ shape }) => shape), compiled };
    return compiled;
  }

  #check(): void {
    if (this.#disposed) throw new Error("Cannot run a compiled Program: it was disposed");
  }

  async #compile(key: string, compile: () => Promise<Compiled>): Promise<void> {
    try {
      const compiled = await compile();
      if (this.#disposed) this.#drop(compiled);
      else this.#add(key, compiled);
    } finally {
      this.#compiling.delete(key);
    }
  }

  #add(key: string, compiled: Compiled): void {
    this.#compiled.set(key, compiled);
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size > KEPT) this.#remove(oldest);
  }

  #remove(key: string): void {
    const compiled = this.#compiled.get(key);
    if (!compiled) return;
    this.#compiled.delete(key);
    if (this.#latest?.compiled === compiled) this.#latest = undefined;
    this.#drop(compiled);
  }
}
