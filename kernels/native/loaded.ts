/** What is loaded where native code is permitted, and dead weight elsewhere, in a page for example. */
import type { Program } from "../../src/program/types.ts";
import type { BackendCompileOptions, Executable } from "../backend.ts";
import { CpuExecutable } from "../cpu/executable.ts";
import { writeCode } from "./code_for.ts";
import { compileC } from "./compiler.ts";
import { NativeDevice, type NativeOptions, withDefaults } from "./device.ts";
import { isRuntimeLoaded, openCompiler } from "./runtime.ts";

export { NativeDevice } from "./device.ts";
export { beginRuntime, openRuntime } from "./runtime.ts";

/** Compiles a Program for a device that is being opened. */
export async function compileFor(
  opening: Promise<NativeDevice>,
  program: Program,
  compileOptions: BackendCompileOptions,
  options: NativeOptions,
): Promise<Executable> {
  if (!isRuntimeLoaded()) compileAhead(program, compileOptions, options);
  const executable = new CpuExecutable(await opening, program, compileOptions, "native");
  await executable.prepare();
  return executable;
}

/** Compiles a Program while the runtime is compiled, which takes as long; `compile` then finds it, or why it failed. */
function compileAhead(program: Program, { donate }: BackendCompileOptions, options: NativeOptions): void {
  const compiling = async () => {
    const { emitted } = writeCode(program, (input) => !donate[input], withDefaults(options));
    await compileC(await openCompiler(), emitted.source, "program");
  };
  compiling().catch(() => {});
}
