/** What the command `export` writes. What writes a target is loaded only when it is needed. */
import type { Layer, Variables } from "../../src/layers/layer.ts";
import type { StandaloneOptions } from "../standalone/options.ts";

/** A file to write: the end of its name, and its content. */
export interface TargetFile {
  readonly end: string;
  readonly content: Uint8Array<ArrayBuffer> | string;
}

/** A target. */
export interface Target {
  /** What it is, for `--help`. */
  readonly about: string;
  /** The end of its main file, which `--output` may have. */
  readonly end: string;
  /** The options that act, beside `--output` and `--input`. */
  readonly options: readonly ("name" | "stream" | "batch")[];
  readonly write: (
    model: Layer,
    variables: Variables,
    options: StandaloneOptions,
  ) => Promise<readonly TargetFile[]>;
}

/** The targets by name. */
export const targets: Readonly<Record<string, Target>> = {
  wasm: {
    about: "one WebAssembly file, with a loader in JavaScript and its types",
    end: ".wasm",
    options: ["name", "stream", "batch"],
    write: async (model, variables, options) => {
      const { toWasm } = await import("../standalone/to_wasm.ts");
      const { wasm, loader, types } = toWasm(model, variables, options);
      return [{ end: ".wasm", content: wasm }, { end: ".js", content: loader }, {
        end: ".d.ts",
        content: types,
      }];
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
