/** What is done to functions: differentiate, compile, trace. */
export { type Differentiable, grad, type GradOptions, valueAndGrad } from "./grad.ts";
export {
  compile,
  type Compiled,
  type CompileOptions,
  type Device,
  toHost,
  trace,
  type TracedFunction,
  type WasmChoice,
} from "./compile.ts";
export { outputSpecs } from "./output_specs.ts";
