/**
 * A small assembler for WebAssembly: functions are written instruction by instruction (`instructions.ts`),
 * and a module is encoded to bytes here. It knows nothing of what the kernels compute. Format: WebAssembly
 * Core Specification 3.0, chapter 5.
 */
import { ByteWriter, pushSigned, pushUnsigned } from "./bytes.ts";
import { FunctionBuilder, i32, v128, type ValueType } from "./instructions.ts";

export { f32, f64, FunctionBuilder, i32, i64, type Local, v128, type ValueType } from "./instructions.ts";

/**
 * The limits of a function in engines, from the JavaScript interface of WebAssembly: locals, and bytes of
 * code.
 */
const MOST_LOCALS = 50_000, MOST_CODE = 7_654_321;

/** An imported function. */
export interface ImportedFunction {
  readonly index: number;
  readonly module: string;
  readonly name: string;
}

/** Pages of 64 KiB. */
interface MemoryLimits {
  readonly minimum: number;
  readonly maximum: number;
  readonly shared: boolean;
}

/** The memory of a module: imported as `env.memory`, or its own, which it exports as `memory`. */
interface ModuleMemory extends MemoryLimits {
  readonly own?: boolean;
}

/** A module being written. Import functions first, then add functions. */
export class ModuleBuilder {
  readonly #imports: (ImportedFunction & { readonly type: number })[] = [];
  readonly #functions: FunctionBuilder[] = [];
  readonly #types: string[] = [];
  #globals = 0;
  readonly #exports: { readonly name: string; readonly index: number }[] = [];
  readonly #data: { readonly address: number; readonly bytes: Uint8Array }[] = [];
  readonly #custom: { readonly name: string; readonly bytes: Uint8Array }[] = [];
  #start: FunctionBuilder | undefined;
  #memory: ModuleMemory;

  /** @param memory Imported as `env.memory`, unless it is its own. */
  constructor(memory: ModuleMemory) {
    this.#memory = memory;
  }

  #typeOf(params: readonly ValueType[], results: readonly ValueType[]): number {
    // No function has 128 parameters or results or more, so each count is one byte.
    const text = [0x60, params.length, ...params, results.length, ...results].join();
    const known = this.#types.indexOf(text);
    return known >= 0 ? known : this.#types.push(text) - 1;
  }

  /** Imports the function `module.name` of the import object. */
  importFunction(
    module: string,
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[],
  ): ImportedFunction {
    if (this.#functions.length > 0) throw new Error("Import functions before adding any");
    const imported = { index: this.#imports.length, module, name, type: this.#typeOf(params, results) };
    this.#imports.push(imported);
    return imported;
  }

  /** Adds a function; write its code into the builder that is returned. */
  addFunction(
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[] = [],
  ): FunctionBuilder {
    return this.add((index) => new FunctionBuilder(name, index, params, results));
  }

  /** Adds the function that is made for this index. */
  add<Builder extends FunctionBuilder>(make: (index: number) => Builder): Builder {
    const added = make(this.#imports.length + this.#functions.length);
    this.#typeOf(added.params, added.results);
    this.#functions.push(added);
    return added;
  }

  /** Adds an i32 global variable of the instance, initially 0; returns its index. */
  addGlobal(): number {
    return this.#globals++;
  }

  /** Exports a function. */
  export(added: FunctionBuilder, name = added.name): void {
    this.#exports.push({ name, index: added.index });
  }

  /** Gives a module of its own memory these pages at first, once it is known how many it needs. */
  begin(minimum: number): void {
    this.#memory = { ...this.#memory, minimum };
  }

  /** Bytes that are at this address when the module has been instantiated. */
  data(address: number, bytes: Uint8Array): void {
    this.#data.push({ address, bytes });
  }

  /** Bytes under a name, for whoever reads the module. */
  custom(name: string, bytes: Uint8Array): void {
    this.#custom.push({ name, bytes });
  }

  /** Calls a function without parameters and results when the module is instantiated. */
  start(added: FunctionBuilder): void {
    this.#start = added;
  }

  /** The functions of the module, for reports. */
  get functions(): readonly FunctionBuilder[] {
    return this.#functions;
  }

  /**
   * The module as bytes.
   *
   * @throws RangeError if a function exceeds the limits of engines.
   */
  encode(): Uint8Array<ArrayBuffer> {
    for (const { name, locals, params, body } of this.#functions) {
      const count = locals.length + params.length;
      // Each declared local takes two bytes.
      const bytes = body.length + 2 * locals.length + 16;
      if (count <= MOST_LOCALS && bytes <= MOST_CODE) continue;
      throw new RangeError(
        `Cannot compile ${name} for wasm: it has ${count} local variables and ${bytes} bytes of code, and engines ` +
          `take ${MOST_LOCALS} and ${MOST_CODE}; compile it in several functions, or use the device reference`,
      );
    }
    const out = new ByteWriter();
    out.append([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    const section = (id: number, write: (body: ByteWriter) => void) => {
      out.push(id);
      out.sized(write);
    };
    const list = <T>(body: ByteWriter, items: readonly T[], write: (item: T) => void) => {
      pushUnsigned(body, items.length);
      items.forEach(write);
    };
    const memory = this.#memory;
    const limits = (body: ByteWriter) => {
      const { minimum, maximum, shared } = memory;
      body.push(shared ? 0x03 : 0x01);
      pushUnsigned(body, minimum);
      pushUnsigned(body, maximum);
    };
    section(1, (body) => list(body, this.#types, (type) => body.append(type.split(",").map(Number))));
    section(2, (body) => {
      pushUnsigned(body, this.#imports.length + (memory.own ? 0 : 1));
      if (!memory.own) {
        body.text("env");
        body.text("memory");
        body.push(0x02);
        limits(body);
      }
      for (const { module, name, type } of this.#imports) {
        body.text(module);
        body.text(name);
        body.push(0x00);
        pushUnsigned(body, type);
      }
    });
    section(
      3,
      (body) =>
        list(
          body,
          this.#functions,
          ({ params, results }) => pushUnsigned(body, this.#typeOf(params, results)),
        ),
    );
    if (memory.own) section(5, (body) => list(body, [body], limits));
    if (this.#globals > 0) {
      section(6, (body) => {
        pushUnsigned(body, this.#globals);
        for (let index = 0; index < this.#globals; index++) body.append([i32, 0x01, 0x41, 0x00, 0x0b]);
      });
    }
    const exported = this.#exports.map((each) => ({ ...each, kind: 0x00 }));
    section(
      7,
      (body) =>
        list(
          body,
          memory.own ? [{ name: "memory", index: 0, kind: 0x02 }, ...exported] : exported,
          (each) => {
            body.text(each.name);
            body.push(each.kind);
            pushUnsigned(body, each.index);
          },
        ),
    );
    const start = this.#start;
    if (start) section(8, (body) => pushUnsigned(body, start.index));
    section(10, (body) =>
      list(body, this.#functions, ({ locals, body: code }) =>
        body.sized((inner) => {
          list(inner, locals, (type) => inner.append([1, type]));
          inner.append(code);
          inner.push(0x0b);
        })));
    if (this.#data.length > 0) {
      section(11, (body) =>
        list(body, this.#data, ({ address, bytes }) => {
          body.append([0x00, 0x41]);
          pushSigned(body, address);
          body.push(0x0b);
          pushUnsigned(body, bytes.length);
          body.append(bytes);
        }));
    }
    for (const { name, bytes } of this.#custom) {
      section(0, (body) => {
        body.text(name);
        body.append(bytes);
      });
    }
    section(0, (body) => {
      body.text("name");
      body.push(1);
      body.sized((names) =>
        list(names, [...this.#imports, ...this.#functions], ({ index, name }) => {
          pushUnsigned(names, index);
          names.text(name);
        })
      );
    });
    return out.bytes();
  }
}

/** Whether this engine has relaxed SIMD: a module with `f32x4.relaxed_madd` validates. */
export function hasRelaxedSimd(): boolean {
  const module = new ModuleBuilder({ minimum: 1, maximum: 1, shared: false });
  module.addFunction("madd", [v128, v128, v128], [v128]).get(0).get(1).get(2).op("f32x4.relaxed_madd");
  return WebAssembly.validate(module.encode());
}

/** Whether this engine has SIMD. */
export function hasSimd(): boolean {
  const module = new ModuleBuilder({ minimum: 1, maximum: 1, shared: false });
  module.addFunction("add", [v128, v128], [v128]).get(0).get(1).op("f32x4.add");
  return WebAssembly.validate(module.encode());
}

/** An empty module. */
export function smallestModule(): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
}
