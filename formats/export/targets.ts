/** What the command `export` writes. What writes a target is loaded only when it is needed. */
import type { Layer, Variables } from "../../src/layers/layer.ts";
import type { StandaloneOptions } from "../standalone/options.ts";
import type { COptions } from "../standalone/to_c.ts";

/** A file to write: the end of its name, and its content. */
export interface TargetFile {
  readonly end: string;
  readonly content: Uint8Array<ArrayBuffer> | string;
}

/** What a target is written with; it gets the options that act alone. */
export type TargetOptions = StandaloneOptions & Pick<COptions, "weights">;

/** A target. */
export interface Target {
  /** What it is, for `--help`. */
  readonly about: string;
  /** The end of its main file, which `--output` may have. */
  readonly end: string;
  /** The options that act, beside `--output` and `--input`. */
  readonly options: readonly ("name" | "mask" | "stream" | "batch" | "weights" | "allowNaN")[];
  /** Whether its files name each other, so that the name of the files must be that of the model. */
  readonly isNamed?: boolean;
  readonly write: (
    model: Layer,
    variables: Variables,
    options: TargetOptions,
  ) => Promise<readonly TargetFile[]>;
}

/** The targets by name. */
export const targets: Readonly<Record<string, Target>> = {
  wasm: {
    about: "one WebAssembly file, with a loader in JavaScript and its types",
    end: ".wasm",
    options: ["name", "mask", "stream", "batch", "allowNaN"],
    write: async (model, variables, options) => {
      const { toWasm } = await import("../standalone/to_wasm.ts");
      const { wasm, loader, types } = toWasm(model, variables, options);
      return [{ end: ".wasm", content: wasm }, { end: ".js", content: loader }, {
        end: ".d.ts",
        content: types,
      }];
    },
  },
  c: {
    about: "a C source file and its header, for machines of any size",
    end: ".c",
    isNamed: true,
    options: ["name", "mask", "stream", "batch", "weights", "allowNaN"],
    write: async (model, variables, options) => {
      const { toC } = await import("../standalone/to_c.ts");
      const { source, header } = toC(model, variables, options);
      return [{ end: ".c", content: source }, { end: ".h", content: header }];
    },
  },
  onnx: {
    about: "an ONNX file",
    end: ".onnx",
    options: [],
    write: async (model, variables, { input }) => {
      const { toOnnx } = await import("../onnx/mod.ts");
      return [{ end: ".onnx", content: toOnnx(model, variables, { input }) }];
    },
  },
};
