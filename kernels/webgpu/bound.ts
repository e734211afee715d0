/**
 * What the code of a Program needs for a set of sizes: which variant runs, with how many workgroups, and where
 * everything lies. That is arithmetic; code is written only where no variant suits the sizes.
 */
import type { Program } from "../../src/program/types.ts";
import { withSizes } from "../../src/program/sizes.ts";
import { type Bindings, evaluateDim, evaluateShape } from "../../src/tensor/dims.ts";
import { bytesOfPlan, KeptPlans } from "../kept_plans.ts";
import { type Arena, planArena } from "../lowering/arena.ts";
import { sizesAt } from "../lowering/kinds/kind.ts";
import type { Buffer } from "../lowering/views.ts";
import { sizeOf } from "../shapes.ts";
import { buffersIn, Code, type Ready, type Variant } from "./code.ts";
import type { WebGpuDevice } from "./device.ts";
import { extentOf } from "./dispatches.ts";
import { TooManyIterations } from "./iterations.ts";
import { isRepeat } from "./wgsl/module.ts";

/** Sets of sizes that have code of their own, as they have sums too long for the code of all. */
const KEPT_APART = 8;

/** A dispatch, or those of a step, as often as it runs in a call. */
export interface Run {
  readonly dispatches: readonly { readonly ready: Ready; readonly workgroups: number }[];
  /** The indices of steps that it is given. */
  readonly steps: { readonly count: number; readonly stride: number; readonly reverse: boolean };
}

/** The code for a set of sizes. */
export interface Bound {
  readonly bindings: Bindings;
  readonly code: Code;
  readonly variant: Variant;
  readonly runs: readonly Run[];
  /** How many steps have an index. */
  readonly steps: number;
  /** Where intermediate results lie in scratch, and half floats in theirs. */
  readonly arena: Arena;
  readonly halves: Arena;
  readonly outputs: readonly { readonly shape: readonly number[]; readonly size: number }[];
  /** The words with the places of inputs and outputs, and what is added to these. */
  readonly outside: readonly {
    readonly index: number;
    readonly kind: "input" | "output";
    readonly at: number;
    readonly offset: number;
  }[];
  /** The words of the table, for intermediate results from an address on. */
  filled: { readonly words: Int32Array<ArrayBuffer>; readonly base: number } | undefined;
}

/** The plans of a Program for the sizes that were used last. */
export class Plans implements Disposable {
  readonly #device: WebGpuDevice;
  readonly #program: Program;
  #code: Code | undefined;
  /** The code of some sizes alone, by the text of these; least recently used first. */
  readonly #apart = new Map<string, Code>();
  readonly #bounds = new KeptPlans<Bound>();
  #making: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(device: WebGpuDevice, program: Program) {
    this.#device = device;
    this.#program = program;
    device.shared.enter();
  }

  /** The plan for these sizes, if there is code that suits them; `key` is their text. */
  get(bindings: Bindings, key: string): Bound | undefined {
    const known = this.#bounds.get(key);
    if (known) return known;
    const bound = this.#plan(bindings, key);
    return bound && this.#keep(key, bound);
  }

  #keep(key: string, bound: Bound): Bound {
    return this.#bounds.add(
      key,
      bound,
      bytesOfPlan([bound.arena, bound.halves], bound.code.table.length),
    );
  }

  /**
   * The same, after code was written for them if there is none.
   *
   * @throws Error with the device's message about a shader; RangeError if the Program has no result for these
   * sizes.
   */
  async make(bindings: Bindings, key: string): Promise<Bound> {
    const made = this.#making.then(async () => {
      this.#check();
      const known = this.get(bindings, key);
      if (known) return known;
      const bound = await this.#write(bindings, key);
      this.#check();
      return this.#keep(key, bound);
    });
    this.#making = made.catch(() => {}); // reported to the call that waits for it
    return await made;
  }

  #check(): void {
    if (this.#disposed) throw new Error("Cannot run a compiled Program: it was disposed");
  }

  async #write(bindings: Bindings, key: string): Promise<Bound> {
    this.#device.check();
    const code = this.#code ??= new Code(this.#device, this.#program);
    code.check(bindings);
    if (!code.needsParts(bindings)) {
      try {
        return this.#bind(code, await code.add(bindings), bindings);
      } catch (error) {
        // With sizes that are known, long sums can be split.
        if (!(error instanceof TooManyIterations) || Object.keys(bindings).length === 0) throw error;
      }
    }
    const apart = new Code(this.#device, withSizes(this.#program, bindings));
    const variant = await apart.add(bindings);
    this.#apart.set(key, apart);
    const [[oldest, first]] = this.#apart;
    if (this.#apart.size > KEPT_APART) {
      this.#apart.delete(oldest);
      this.#bounds.delete(oldest);
      first[Symbol.dispose]();
    }
    return this.#bind(apart, variant, bindings);
  }

  #plan(bindings: Bindings, key: string): Bound | undefined {
    const code = this.#apart.get(key) ?? this.#code;
    code?.check(bindings);
    if (!code || code === this.#code && code.needsParts(bindings)) return undefined;
    const variant = code.variantFor(bindings);
    return variant && this.#bind(code, variant, bindings);
  }

  #bind(code: Code, variant: Variant, bindings: Bindings): Bound {
    return boundTo(code, variant, { bindings, program: this.#program });
  }

  /** All plans, with the text of their sizes. */
  get kept(): Pick<KeptPlans<Bound>, "entries" | "describe"> {
    return this.#bounds;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#code?.[Symbol.dispose]();
    for (const code of this.#apart.values()) code[Symbol.dispose]();
    this.#apart.clear();
    this.#bounds.clear();
    this.#device.shared.leave(this);
  }
}

/** The plan of a variant for these sizes. */
function boundTo(
  code: Code,
  variant: Variant,
  { bindings, program }: { readonly bindings: Bindings; readonly program: Program },
): Bound {
  const situation = { ...variant.situation, sizes: sizesAt(bindings) };
  const { of } = situation.sizes;
  const runs = variant.dispatches.map((each): Run => {
    const dispatches = (isRepeat(each) ? each.dispatches : [each]).map((ready) => ({
      ready,
      workgroups: extentOf(ready.task, situation).workgroups,
    }));
    if (isRepeat(each)) {
      return { dispatches, steps: { count: of(each.scan.length), stride: 1, reverse: each.scan.reverse } };
    }
    const { task } = each;
    return task.kind === "rows" && task.steps !== undefined
      ? { dispatches, steps: { count: of(task.scan.length), stride: task.steps, reverse: false } }
      : { dispatches, steps: { count: 1, stride: 1, reverse: false } };
  });
  const planOf = (only: (buffer: Buffer) => boolean, elementBytes: number) =>
    planArena(variant.dispatches, { buffersOf: buffersIn, keptBy: () => [] }, {
      bindings,
      only: (buffer) => buffer.storage.kind === "arena" && only(buffer),
      elementBytes,
    });
  return {
    bindings,
    code,
    variant,
    runs,
    steps: Math.max(1, ...runs.map(({ steps }) => steps.count)),
    arena: planOf((buffer) => !code.halves.has(buffer), 4),
    halves: planOf((buffer) => code.halves.has(buffer), 2),
    outputs: program.outputs.map(({ shape }) => {
      const concrete = evaluateShape(shape, bindings);
      return { shape: concrete, size: sizeOf(concrete) };
    }),
    outside: code.table.outside.map(({ offset, ...word }) => ({
      ...word,
      offset: evaluateDim(offset, bindings),
    })),
    filled: undefined,
  };
}

/** The words of the table for intermediate results from the address `base` on. */
export function fillTable(bound: Bound, base: number): Int32Array<ArrayBuffer> {
  if (bound.filled?.base === base) return bound.filled.words;
  const { code, arena, halves, bindings } = bound;
  const words = code.table.fill({
    bindings,
    placeOf: (buffer) => {
      const { kind } = buffer.storage;
      if (kind === "input" || kind === "output") return 0; // each call sets it
      if (kind === "constant") return (code.constants.addressOf(buffer) ?? 0) / 4;
      return code.halves.has(buffer)
        ? (halves.offsets.get(buffer) ?? 0) / 2
        : (base + (arena.offsets.get(buffer) ?? 0)) / 4;
    },
  });
  bound.filled = { words, base };
  return words;
}

/** What takes the most space in a plan, and how to reduce it. */
export function largest({ offsets, bytes }: Arena, bindings: Bindings): string {
  const sizes = [...offsets.keys()].map(({ name, size }) => ({
    name,
    bytes: 4 * evaluateDim(size, bindings),
  }));
  const names = sizes.sort((a, b) => b.bytes - a.bytes).slice(0, 3).map(({ name, bytes }) =>
    `${name} (${bytes} bytes)`
  );
  return `the plan takes ${bytes} bytes, most of them ${names.join(", ")}; ` +
    `a smaller batch, a shorter sequence or checkpointEvery takes less`;
}
