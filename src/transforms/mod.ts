/** Transforms of functions: differentiate, compile, trace. */
import { wrongKind } from "../describe.ts";
export { type Differentiable, grad, type GradOptions, valueAndGrad } from "./grad.ts";
export { compile, type Compiled, type CompileOptions } from "./compile.ts";
export {
  type Device,
  DeviceLost,
  type DeviceName,
  type NativeChoice,
  type NativeOptions,
  type WasmChoice,
  type WasmOptions,
  type WebGpuChoice,
  type WebGpuOptions,
} from "./devices.ts";

export type {
  Backend,
  BackendCompileOptions,
  Executable,
  Input,
  Loop,
  LoopRoles,
} from "../../kernels/backend.ts";

import type { Compiled } from "./compile.ts";

/**
 * A report of what was compiled: what each pass of the optimizer did and the Program after it, then per
 * executable its kernels and the bytes of code and of planned memory.
 *
 * @param compiled A compiled function.
 * @param args Tensors or specs to explain it for; default: all shapes that it was called with.
 * @throws Error if it was not called yet and no `args` are given.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { compile, explain, matmul, tanh, type Tensor, zeros } from "@cellfold/cellfold";
 * const layer = compile((x: Tensor, w: Tensor) => tanh(matmul(x, w)));
 * await layer(zeros([2, 3]), zeros([3, 4]));
 * assert(explain(layer).includes("matmul"));
 * ```
 */
export function explain<Args extends readonly unknown[], Result>(
  compiled: Compiled<Args, Result>,
  ...args: readonly unknown[]
): string {
  if (typeof compiled?.explain !== "function") {
    throw wrongKind("explain", compiled, "the first argument", "what compile(fn) gives");
  }
  return compiled.explain(...args);
}
