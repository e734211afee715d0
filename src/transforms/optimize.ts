/** The passes, and what follows them, loaded when the first Program is compiled. */
import type { Backend, BackendCompileOptions, Executable } from "../../kernels/backend.ts";
import { loadOnce } from "../load_once.ts";
import type { Program } from "../program/types.ts";

const loadCompiling = loadOnce(() => import("./compiling.ts"));

/** Runs every pass. */
export async function optimize(program: Program): Promise<Program> {
  const { runPasses } = await loadCompiling();
  return runPasses(program);
}

/** Compiles a Program whose first `fixed` inputs are often the same; see laid_out.ts. */
export async function compileOptimized(
  backend: Backend,
  program: Program,
  fixed: number,
  options: BackendCompileOptions,
): Promise<Executable> {
  const { compileLaidOut } = await loadCompiling();
  return await compileLaidOut(backend, program, fixed, options);
}
