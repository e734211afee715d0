/** Transforms of functions: differentiate, compile, trace. */
import { wrongKind } from "../describe.ts";
export { type Differentiable, grad, type GradOptions, valueAndGrad } from "./grad.ts";
export { compile, type Compiled, type CompileOptions, type Runner } from "./compile.ts";
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

export type { Explanation, PassNote, PassReport } from "./explain.ts";

export type {
  Backend,
  BackendCompileOptions,
  Executable,
  ExecutableReport,
  Input,
  KernelReport,
  Loop,
  LoopRoles,
} from "../../kernels/backend.ts";

import type { Compiled } from "./compile.ts";
import type { Explanation } from "./explain.ts";

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

/**
 * The same as data, for programs that show it: what each pass did, the Program after it, and the kernels. On wasm with
 * the option `profile`, every kernel has the milliseconds that it took in the calls so far; to leave out the first
 * calls, in which an engine compiles, subtract an explanation from before the others.
 *
 * @param compiled A compiled function.
 * @param args Tensors or specs to explain it for, without kernels; default: its last call.
 * @throws Error if it was not called yet and no `args` are given.
 *
 * @example
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { compile, explanation, matmul, tanh, type Tensor, zeros } from "@cellfold/cellfold";
 * const layer = compile((x: Tensor, w: Tensor) => tanh(matmul(x, w)), {
 *   device: { name: "wasm", profile: true },
 * });
 * await layer(zeros([2, 3]), zeros([3, 4]));
 * const { passes, kernels, measuredCalls } = explanation(layer);
 * assertEquals(measuredCalls, 1);
 * assert(kernels.every(({ milliseconds = -1 }) => milliseconds >= 0));
 * assert(passes.some(({ name }) => name === "hoist"));
 * ```
 */
export function explanation<Args extends readonly unknown[], Result>(
  compiled: Compiled<Args, Result>,
  ...args: readonly unknown[]
): Explanation {
  if (typeof compiled?.explanation !== "function") {
    throw wrongKind("explain", compiled, "the first argument", "what compile(fn) gives");
  }
  return compiled.explanation(...args);
}
