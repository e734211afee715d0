/** What happened to a Program on its way to a device, for people. */
import type { Executable } from "../../kernels/backend.ts";
import { printProgram } from "../program/print.ts";
import type { Program } from "../program/types.ts";
import { runPasses } from "../passes/mod.ts";

/** The passes one by one, with what each did and the Program after it, then the kernels of the executable. */
export function explainProgram(
  traced: { readonly program: Program; readonly notes: readonly string[] },
  executable?: Executable,
): string {
  let before = printProgram(traced.program);
  const parts = [`as traced\n${before}`];
  if (traced.notes.length > 0) {
    parts.unshift(["before derivatives were taken", ...counted(traced.notes)].join("\n"));
  }
  runPasses(traced.program, (pass, program, notes) => {
    const text = printProgram(program);
    const lines = counted(notes);
    parts.push(
      [`after ${pass}${text === before ? ": no change" : ""}`, ...lines, ...(text === before ? [] : [text])]
        .join("\n"),
    );
    before = text;
  });
  if (executable) parts.push(executable.describe());
  return parts.join("\n\n");
}

/** Notes as indented lines, equal ones once with their count. */
function counted(notes: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const note of notes) counts.set(note, (counts.get(note) ?? 0) + 1);
  return [...counts].map(([note, count]) => `  ${note}${count > 1 ? ` (${count} times)` : ""}`);
}
