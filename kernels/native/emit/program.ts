/**
 * The C of a Program: one file with a function for each kernel, and two that call them in order. `alone` runs everything on
 * the calling thread; in `together`, each kernel that threads share is a phase (`../c/pool.ts`). Both compute the same to
 * the bit: how work is divided depends on the number of threads of the device alone.
 *
 * Everything that depends on open sizes is computed from these, which lie in the Program's table (`../../cpu/slots.ts`).
 */
import type { Program } from "../../../src/program/types.ts";
import type { Bindings } from "../../../src/tensor/dims.ts";
import { printSpec } from "../../../src/tensor/tensor.ts";
import { cpuFunctions, type CpuKernel } from "../../cpu/kernels.ts";
import {
  alwaysSingleThreaded,
  fixedSizes,
  isOpen,
  type Partition,
  partitionOf,
} from "../../cpu/partition.ts";
import type { Slots } from "../../cpu/slots.ts";
import { sizesAt } from "../../lowering/kinds/kind.ts";
import type { MathName } from "../../math/mod.ts";
import { CALL } from "../c/call.ts";
import { HELPERS, PLACES } from "../c/helpers.ts";
import { HEADERS, OPERATIONS, VECTORS } from "../c/vectors.ts";
import { emissionOf, nativeTarget } from "../kinds.ts";
import { functionText, KernelSource, type Names, tableNames } from "./code.ts";
import type { Inside } from "./kind.ts";
import { mathSource } from "./math.ts";

/** What the C of a Program depends on besides its kernels. */
export interface EmitOptions {
  /** The table of what code reads at run time. */
  readonly slots: Slots;
  /** How many shares a shared kernel has. Results depend on it, as sums are put together from shares. */
  readonly threads: number;
  /** Elements from which a kernel is shared among threads. */
  readonly shareFrom: number;
  /** Whether the code adds up how long each kernel takes, for profiles; default: it does not. */
  readonly marks?: boolean;
}

/** The C of a Program. */
export interface Emitted {
  readonly source: string;
  /** The name of each kernel's function; times are in this order. */
  readonly kernels: ReadonlyMap<CpuKernel, string>;
  /** The functions themselves. */
  readonly functions: ReadonlyMap<CpuKernel, string>;
}

/** The division of a kernel's work: numbers, or words of the table. */
interface Division {
  readonly units: (f: KernelSource) => string;
  readonly part: (f: KernelSource) => string;
  /** Whether one thread does it all; a condition in C if that depends on the call. */
  readonly isSingle: (f: KernelSource) => boolean | string;
}

/** A kernel of the Program. */
interface Step extends Division {
  readonly kernel: CpuKernel;
  readonly name: string;
}

/** Writes a Program. */
export function emitProgram(kernels: readonly CpuKernel[], program: Program, options: EmitOptions): Emitted {
  return new ProgramWriter(options).write(kernels, program);
}

class ProgramWriter {
  readonly #options: EmitOptions;
  readonly #table: Names;
  readonly #functions = new Set<MathName>();
  readonly #names = new Map<string, number>();
  readonly #written: string[] = [];
  readonly #kernels = new Map<CpuKernel, string>();
  readonly #texts = new Map<CpuKernel, string>();

  constructor(options: EmitOptions) {
    this.#options = options;
    this.#table = tableNames(options.slots);
  }

  write(kernels: readonly CpuKernel[], program: Program): Emitted {
    const steps = kernels.map((kernel): Step => {
      const name = this.#kernel(kernel, 0);
      return { kernel, name, ...this.#divisionOf(kernel, name) };
    });
    const alone = this.#function("alone", "struct call *c", (f) => this.#alone(f, steps));
    const together = this.#function("together", "struct call *c", (f) => this.#together(f, steps));
    const source = [
      headerOf(program, kernels),
      HEADERS,
      VECTORS,
      OPERATIONS,
      CALL,
      PLACES,
      HELPERS,
      mathSource(this.#functions),
      ...(this.#options.marks ? [marksOf(this.#kernels.size)] : []),
      ...this.#written,
      alone,
      together,
      ENTRY,
    ].join("\n");
    return { source, kernels: this.#kernels, functions: this.#texts };
  }

  #function(name: string, parameters: string, write: (f: KernelSource) => void): string {
    const f = new KernelSource({ names: this.#table, functions: this.#functions });
    write(f);
    return functionText(`APART void ${name}`, parameters, f.text);
  }

  /** Writes the functions of a kernel and of those inside it; returns its name. */
  #kernel(kernel: CpuKernel, depth: number): string {
    const base = cpuFunctions.kernelName(kernel), count = this.#names.get(base) ?? 0;
    this.#names.set(base, count + 1);
    const name = `${base}_${count}`;
    const body = "body" in kernel ? kernel.body : [];
    const inside = body.map((each): Inside => {
      const called = this.#kernel(each, depth + 1);
      return { name: called, mark: this.#mark(each), units: this.#divisionOf(each, called).units };
    });
    const loops = Array.from({ length: depth }, (_, loop) => `, int64_t t${loop}`).join("");
    const text = this.#function(name, `const struct call *c, int64_t begin, int64_t end${loops}`, (f) => {
      emissionOf(kernel).emit(f, kernel, { threads: this.#options.threads, depth, inside });
    });
    this.#written.push(`/* ${cpuFunctions.printKernel(kernel)[0]} */\n${text}`);
    this.#kernels.set(kernel, name);
    this.#texts.set(kernel, text);
    return name;
  }

  /** The call that adds the time since the one before to a kernel that has run; empty without marks. */
  #mark(kernel: CpuKernel): string {
    return this.#options.marks ? ` mark(${[...this.#kernels.keys()].indexOf(kernel)});` : "";
  }

  #divisionOf(kernel: CpuKernel, name: string): Division {
    const { threads, shareFrom } = this.#options;
    const sharing = { target: nativeTarget, shareFrom };
    const partOf = ({ units, grain }: Partition) => Math.ceil(Math.ceil(units / grain) / threads) * grain;
    if (!isOpen(kernel)) {
      const partition = partitionOf(kernel, sharing, fixedSizes);
      return {
        units: () => `${partition.units}`,
        part: () => `${partOf(partition)}`,
        isSingle: () => partition.singleThreaded,
      };
    }
    let latest: { readonly bindings: Bindings; readonly partition: Partition } | undefined;
    /** Several words of the table ask for the same sizes, one after the other. */
    const at = (bindings: Bindings): Partition => {
      if (latest?.bindings !== bindings) {
        latest = { bindings, partition: partitionOf(kernel, sharing, sizesAt(bindings)) };
      }
      return latest.partition;
    };
    const always = alwaysSingleThreaded(kernel, sharing);
    return {
      units: (f) => f.at(`units of ${name}`, (bindings) => at(bindings).units),
      part: (f) => f.at(`part of ${name}`, (bindings) => partOf(at(bindings))),
      isSingle: (f) =>
        always ??
          f.at(`whether ${name} is for one thread`, (bindings) => at(bindings).singleThreaded ? 1 : 0),
    };
  }

  /** Writes a step, which is skipped if it packs what is packed already. */
  #whenStale(f: KernelSource, { kernel }: Step, write: () => void): void {
    if (cpuFunctions.keptBy(kernel).length === 0) write();
    else f.block(`if (${f.flag(kernel)})`, write);
  }

  #alone(f: KernelSource, steps: readonly Step[]): void {
    const { threads, marks } = this.#options;
    if (marks) f.line(`mark(${this.#kernels.size});`); // what came before belongs to no kernel
    for (const step of steps) {
      const { kernel, name, units, part } = step;
      this.#whenStale(f, step, () => {
        if (!emissionOf(kernel).dependsOnShare?.(kernel)) {
          f.line(`${name}(c, 0, ${units(f)});${this.#mark(kernel)}`);
        } else {
          f.line(`for (c->share = 0; c->share < ${threads}; c->share++)`);
          f.line(
            `  ${name}(c, least(${units(f)}, c->share * ${part(f)}), least(${units(f)}, (c->share + 1) * ${
              part(f)
            }));`,
          );
          f.line(`c->share = 0;${this.#mark(kernel)}`);
        }
      });
    }
  }

  #together(f: KernelSource, steps: readonly Step[]): void {
    const { threads } = this.#options;
    const single = (step: Step) =>
      this.#whenStale(f, step, () => f.line(`${step.name}(c, 0, ${step.units(f)});`));
    const shared = ({ name, units, part }: Step) =>
      f.line(
        `${name}(c, least(${units(f)}, c->share * ${part(f)}), least(${units(f)}, (c->share + 1) * ${
          part(f)
        }));`,
      );
    const phase = (shares: string, write: () => void) => {
      f.block(`while ((c->share = c->use->claim(c, ${shares})) >= 0)`, () => {
        write();
        f.line(`c->use->finish(c, ${shares});`);
      });
    };
    let pending: Step[] = [];
    /** Consecutive kernels that one thread does alone form one phase. */
    const writePending = () => {
      const group = pending;
      pending = [];
      if (group.length > 0) phase("1", () => group.forEach(single));
    };
    for (const step of steps) {
      const isSingle = step.isSingle(f);
      // What is packed once is packed by one thread, so that a call always has the same number of phases.
      if (isSingle === true || cpuFunctions.keptBy(step.kernel).length > 0) {
        pending.push(step);
        continue;
      }
      writePending();
      if (isSingle === false) phase(`${threads}`, () => shared(step));
      else {
        phase(`${isSingle} ? 1 : ${threads}`, () => {
          f.block(`if (${isSingle})`, () => single(step)).block("else", () => shared(step));
        });
      }
    }
    writePending();
  }
}

const ENTRY = `static const struct program program = {alone, together};
__attribute__((visibility("default"))) const struct program *cellfold_program(void);
const struct program *cellfold_program(void) { return &program; }
`;

/** What adds up times: `mark` is called when a kernel has run, and a profile reads and clears `taken`. */
function marksOf(kernels: number): string {
  return `#include <time.h>
__attribute__((visibility("default"))) double cellfold_taken[${kernels + 1}];
static void mark(int kernel) {
  static double before;
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  const double time = (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
  cellfold_taken[kernel] += time - before;
  before = time;
}
`;
}

/** The comment at the beginning of the file. */
function headerOf({ inputs, outputs }: Program, kernels: readonly CpuKernel[]): string {
  return [
    "/* A Program of Cellfold.",
    ...inputs.map((input, index) => ` * input ${index}: ${printSpec(input)}`),
    ...outputs.map((output, index) => ` * output ${index}: ${printSpec(output)}`),
    " * Its kernels, in order:",
    ...kernels.flatMap((kernel) => cpuFunctions.printKernel(kernel, " *   ")),
    " */",
  ].join("\n");
}
