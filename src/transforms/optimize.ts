/** The passes, loaded when the first Program is compiled: models are made and traced without them. */
import { loadOnce } from "../load_once.ts";
import type { Program } from "../program/types.ts";

const loadPasses = loadOnce(() => import("../passes/mod.ts"));

/** Runs every pass. */
export async function optimize(program: Program): Promise<Program> {
  const { runPasses } = await loadPasses();
  return runPasses(program);
}
