/**
 * A Program as C of its own: a function for each kernel and one that calls them in order, without allocation, threads
 * or a table. Weights are constant arrays, open sizes are arguments, and intermediate results lie in a workspace that
 * the caller gives. Kernels are written as for the device, with vectors where the compiler's target has them;
 * products are those of `product.ts`.
 */
import { type Dim, evaluateDim } from "../../../src/tensor/dims.ts";
import type { Value } from "../../../src/program/types.ts";
import type { HostTensor } from "../../../src/tensor/tensor.ts";
import { lifetimesOf } from "../../lowering/arena.ts";
import { everyKernel, type Kernel, kernelFunctions } from "../../lowering/kernels.ts";
import { lowerProgram } from "../../lowering/lower.ts";
import type { Buffer } from "../../lowering/views.ts";
import type { MathName } from "../../math/mod.ts";
import { sizeOf } from "../../shapes.ts";
import { checkFloat32, checkSizes } from "../../standalone/checks.ts";
import { openInputs } from "../../standalone/open_values.ts";
import { givenInputs, type InputRole, resultsOf, type StandaloneProgram } from "../../standalone/roles.ts";
import { elementType, functionText, KernelSource, type Names, plus, printSize, times } from "../emit/code.ts";
import { cumsumEmission } from "../emit/cumsum.ts";
import { fusedEmission } from "../emit/fused.ts";
import { indexingEmission } from "../emit/indexing.ts";
import type { EmittedKinds, Inside } from "../emit/kind.ts";
import { randomEmission } from "../emit/random.ts";
import { reductionEmission } from "../emit/reduce.ts";
import { scanEmission } from "../emit/scan.ts";
import { type Piece, workspaceOf } from "./layout.ts";
import { emitProduct, emitRows, plain, type Stored } from "./product.ts";
import { storedOperand, storedWeights } from "./stored.ts";
import {
  type Arrays,
  byteArrays,
  constantArray,
  halfArray,
  type ScaledAxis,
  type WeightFormat,
} from "./weights.ts";

/** What programs in one file share. */
export interface CFile {
  /** The mathematical functions that are called. */
  readonly functions: Set<MathName>;
  /** Formats of the right operands of products. */
  readonly products: Set<WeightFormat>;
  /** Constant arrays. */
  readonly arrays: Arrays;
}

/** A state of a Program. */
export interface CState {
  /** The index of the input that it is. */
  readonly input: number;
  readonly type: "float" | "int32_t";
  readonly elements: number;
  /** The constant array with its first value. */
  readonly first: string;
  /** Where a step leaves the next one, in elements of the workspace. */
  readonly next: number;
}

/** A Program in C. */
export interface CProgram {
  /** Its functions; the last one is `static void PREFIX_run(const struct PREFIX_call *c)`. */
  readonly code: string;
  /** Floats of its workspace. */
  readonly work: Dim;
  readonly states: readonly CState[];
}

/** How a Program becomes C. */
export interface CProgramOptions {
  readonly prefix: string;
  readonly weights: WeightFormat;
}

/** What lies in the workspace: an intermediate result, or an input or output by its name. */
type Key = Buffer | string;

/** Writes a Program; `file` gets what it shares with others. */
export function writeProgram(given: StandaloneProgram, file: CFile, options: CProgramOptions): CProgram {
  checkFloat32(given.program);
  const { program, values } = openInputs(given.program);
  const roles: readonly InputRole[] = [
    ...given.roles,
    ...values.map((value): InputRole => ({ kind: "open", value })),
  ];
  const { kernels, checks } = lowerProgram(program, { columns: 1 });
  checkSizes(given.sizes, checks);
  return new ProgramWriter({ ...given, program, roles }, kernels, file, options).write();
}

/** Of 32 bits, as machines without an operating system have. */
const INDEX_TYPE = "int32_t";

/** How every kind is written. */
type Emitted = EmittedKinds<Exclude<Kernel, { readonly kind: "scan" | "matmul" }>>;
const emitted: Emitted = {
  ...fusedEmission,
  ...reductionEmission,
  ...cumsumEmission,
  ...indexingEmission,
  ...randomEmission,
};

class ProgramWriter {
  readonly #standalone: StandaloneProgram;
  readonly #kernels: readonly Kernel[];
  readonly #file: CFile;
  readonly #options: CProgramOptions;
  readonly #stored: ReadonlyMap<number, Stored>;
  readonly #offsets: ReadonlyMap<Key, Dim>;
  readonly #work: Dim;
  /** The elements of buffers. */
  readonly #types: ReadonlyMap<Buffer, string>;
  readonly #counts = new Map<string, number>();
  readonly #written: string[] = [];
  readonly #names: Names;

  constructor(
    standalone: StandaloneProgram,
    kernels: readonly Kernel[],
    file: CFile,
    options: CProgramOptions,
  ) {
    this.#standalone = standalone;
    this.#kernels = kernels;
    this.#file = file;
    this.#options = options;
    this.#types = typesOf(kernels);
    const { offsets, size } = workspaceOf(this.#pieces(), standalone.sizes);
    this.#offsets = offsets;
    this.#work = size;
    this.#stored = storedWeights(everyKernel(kernels).map(({ kernel }) => kernel), standalone.roles, {
      format: options.weights,
      define: (index, axis) => this.#storedArray(index, axis),
    });
    this.#names = {
      indexType: INDEX_TYPE,
      symbol: (symbol) => `c->${symbol}`,
      at: () => fail("a division of work"),
      flag: () => fail("a flag"),
      openNumber: () => fail("a number that depends on sizes"),
      buffer: (buffer, type) => this.#address(buffer, type),
      isConstant: ({ storage }) =>
        storage.kind === "constant" ||
        (storage.kind === "input" && standalone.roles[storage.index].kind !== "open"),
      asksAhead: false,
    };
  }

  write(): CProgram {
    const { prefix } = this.#options;
    const { program, sizes } = this.#standalone;
    const called = this.#kernels.map((kernel) => ({ kernel, name: this.#kernel(kernel, 0) }));
    const run = this.#function(`${prefix}_run`, "", (f) => {
      this.#fillOpen(f);
      for (const { kernel, name } of called) f.line(`${name}(c, 0, ${this.#units(f, kernel)});`);
    });
    const fields = [
      ...givenInputs(this.#standalone).map((index) =>
        `const ${elementType(program.inputs[index].dtype)} *input_${index};`
      ),
      ...this.#stateInputs().map((index) =>
        `const ${elementType(program.inputs[index].dtype)} *input_${index};`
      ),
      ...resultsOf(this.#standalone).map((index) =>
        `${elementType(program.outputs[index].dtype)} *output_${index};`
      ),
      ...(sizes.length === 0 ? [] : [`int32_t ${sizes.join(", ")};`]),
      "float *work;",
    ];
    const struct = `struct ${prefix}_call {\n${fields.map((field) => `  ${field}`).join("\n")}\n};\n`;
    const states = this.#standalone.roles.flatMap((role, index): CState[] => {
      if (role.kind !== "state") return [];
      const offset = this.#offsets.get(`output ${role.output}`);
      const { shape, dtype } = program.inputs[index];
      return [{
        input: index,
        type: elementType(dtype),
        elements: sizeAt(shape),
        first: this.#constant(role.first),
        next: evaluateDim(offset ?? fail("a state without a place"), {}),
      }];
    });
    return { code: [struct, ...this.#written, run].join("\n"), work: this.#work, states };
  }

  /** What lies in the workspace: what is between kernels, next states, and what follows from sizes. */
  #pieces(): Piece<Key>[] {
    const { program, roles } = this.#standalone;
    const forever = { first: 0, last: this.#kernels.length };
    const lifetimes = lifetimesOf(
      this.#kernels,
      kernelFunctions,
      ({ storage }) => storage.kind === "arena",
    );
    const results = new Set(resultsOf(this.#standalone));
    const own = (key: Key, { shape, dtype }: Value): Piece<Key> => ({
      key,
      size: sizeOf(shape),
      type: elementType(dtype),
      ...forever,
    });
    return [
      ...roles.flatMap(({ kind }, index) =>
        kind === "open" ? [own(`input ${index}`, program.inputs[index])] : []
      ),
      ...program.outputs.flatMap((output, index) =>
        results.has(index) ? [] : [own(`output ${index}`, output)]
      ),
      ...[...lifetimes].map(([buffer, life]): Piece<Key> => ({
        key: buffer,
        size: buffer.size,
        type: this.#types.get(buffer) ?? "float",
        ...life,
      })),
    ];
  }

  #stateInputs(): number[] {
    return this.#standalone.roles.flatMap(({ kind }, index) => kind === "state" ? [index] : []);
  }

  /** The address of a buffer in C. */
  #address(buffer: Buffer, type: "float" | "int32_t"): string {
    const { storage } = buffer;
    if (storage.kind === "constant") {
      return typeof storage.value === "function"
        ? fail("a constant that depends on sizes")
        : this.#constant(storage.value);
    }
    const key = storage.kind === "arena" ? buffer : `${storage.kind} ${storage.index}`;
    const offset = this.#offsets.get(key);
    if (offset !== undefined) return this.#place(offset, type);
    if (storage.kind === "input") {
      const role = this.#standalone.roles[storage.index];
      if (role.kind === "weight") return this.#constant(role.value);
      return `c->input_${storage.index}`;
    }
    if (storage.kind === "output") return `c->output_${storage.index}`;
    return fail("a buffer without a place");
  }

  /** A place in the workspace. */
  #place(offset: Dim, type: "float" | "int32_t"): string {
    const place = plus("c->work", printSize(offset, this.#names.symbol));
    return type === "float" ? place : `(int32_t *)(${place})`;
  }

  /** The name of a constant array with this tensor. */
  #constant(tensor: HostTensor): string {
    return this.#file.arrays.nameOf(tensor, "float32", (name) => [constantArray(name, tensor)]);
  }

  /** Defines the array of a weight in fewer bits. */
  #storedArray(index: number, axis: ScaledAxis): Stored {
    const role = this.#standalone.roles[index];
    if (role.kind !== "weight") return fail("a weight that is none");
    const { weights: format } = this.#options;
    const { value } = role;
    const name = this.#file.arrays.nameOf(value, `${format} by ${axis}`, (name) => {
      if (format === "float16") return [halfArray(name, value)];
      const { values, scales } = byteArrays(name, value, axis);
      return [values, scales];
    });
    return { format, name, columns: value.shape[value.shape.length - 1] };
  }

  #units(f: KernelSource, kernel: Kernel): string {
    return f.size(kernelFunctions.unitsOf(kernel));
  }

  #function(name: string, more: string, write: (f: KernelSource) => void): string {
    const f = new KernelSource({ names: this.#names, functions: this.#file.functions });
    write(f);
    const parameters = `const struct ${this.#options.prefix}_call *c${more}`;
    return functionText(`APART void ${name}`, parameters, f.text);
  }

  /** Writes the functions of a kernel and of those inside it; returns its name. */
  #kernel(kernel: Kernel, depth: number): string {
    const base = `${this.#options.prefix}_${kernelFunctions.kernelName(kernel)}`;
    const count = this.#counts.get(base) ?? 0;
    this.#counts.set(base, count + 1);
    const name = `${base}_${count}`;
    const body = "body" in kernel ? kernel.body : [];
    const inside = body.map((each): Inside => ({
      name: this.#kernel(each, depth + 1),
      units: (f) => this.#units(f, each),
    }));
    const loops = Array.from({ length: depth }, (_, loop) => `, ${INDEX_TYPE} t${loop}`).join("");
    const text = this.#function(name, `, ${INDEX_TYPE} begin, ${INDEX_TYPE} end${loops}`, (f) => {
      this.#emit(f, kernel, { threads: 1, depth, inside });
    });
    this.#written.push(`/* ${kernelFunctions.printKernel(kernel)[0]} */\n${text}`);
    return name;
  }

  #emit(f: KernelSource, kernel: Kernel, emission: Parameters<typeof scanEmission.scan.emit>[2]): void {
    if (kernel.kind === "scan") {
      // The loop itself reads nothing of the kernels inside.
      return scanEmission.scan.emit(f, kernel as never, emission);
    }
    const storage = storedOperand(kernel)?.buffer.storage;
    const stored = storage?.kind === "input" ? this.#stored.get(storage.index) : undefined;
    if (kernel.kind === "matmul") {
      this.#file.products.add(stored?.format ?? "float32");
      return emitProduct(f, kernel, stored ?? plain);
    }
    if (stored && "operand" in kernel) return emitRows(f, kernel, stored);
    return emitted[kernel.kind].emit(f, kernel as never, emission); // the record of this very kind
  }

  /** Writes what follows from sizes alone. */
  #fillOpen(f: KernelSource): void {
    const { program, roles } = this.#standalone;
    roles.forEach((role, index) => {
      if (role.kind !== "open") return;
      const { shape, dtype } = program.inputs[index];
      const type = elementType(dtype);
      const offset = this.#offsets.get(`input ${index}`) ?? fail("an open value without a place");
      const to = f.name(`open_${index}`);
      f.line(`${type} *const ${to} = ${this.#place(offset, type)};`);
      const { value } = role;
      if (value.kind === "size") return void f.line(`${to}[0] = (${type})(${f.size(value.size)});`);
      f.loops("i", shape, (places) => {
        let strides = "1";
        const terms = [...shape.keys()].reverse().map((axis) => {
          const term = times(places[axis], strides);
          strides = times(strides, f.size(shape[axis]));
          return term;
        });
        f.line(`${to}[${plus(...terms.reverse())}] = (${type})(${places[value.axis]});`);
      });
    });
  }
}

/** The elements of the buffers that kernels read and write. */
function typesOf(kernels: readonly Kernel[]): Map<Buffer, string> {
  const { readsOf, writesOf } = kernelFunctions;
  const views = kernels.flatMap((kernel) => [...readsOf(kernel), ...writesOf(kernel)]);
  return new Map(views.map(({ buffer, dtype }) => [buffer, elementType(dtype)]));
}

function fail(what: string): never {
  throw new Error(`Cannot write a Program in C that has ${what}`);
}

function sizeAt(shape: Parameters<typeof sizeOf>[0]): number {
  return evaluateDim(sizeOf(shape), {});
}
