/** What happened to a Program on its way to a device: as data, and as text for people. */
import type { Executable, ExecutableReport } from "../../kernels/backend.ts";
import { printProgram } from "../program/print.ts";
import type { Program } from "../program/types.ts";
import { runPasses } from "../passes/mod.ts";

/** Something that a pass did, such as `hoisted matmul float32[2, 5, 8] out of a scan`, and how often. */
export interface PassNote {
  /** What it did. */
  readonly text: string;
  /** How many times it did this. */
  readonly count: number;
}

/** What a pass of the optimizer did. */
export interface PassReport {
  /** The name of the pass, such as `hoist`. */
  readonly name: string;
  /** Whether it changed the Program. */
  readonly changed: boolean;
  /** What it did, in order; passes that only tidy up say nothing of it. */
  readonly notes: readonly PassNote[];
  /** The Program after it. */
  readonly program: Program;
}

/** What became of a traced function. */
export interface Explanation extends ExecutableReport {
  /** The device and why it was chosen; absent if the function was only traced. */
  readonly device?: { readonly name: string; readonly why: string };
  /** What passes did before derivatives were taken, inside the trace; empty without derivatives. */
  readonly beforeDerivatives: readonly PassNote[];
  /** The Program as traced. */
  readonly traced: Program;
  /** The passes in the order in which they ran. */
  readonly passes: readonly PassReport[];
}

/** A Program as traced, with what was noted meanwhile. */
interface Traced {
  readonly program: Program;
  readonly notes: readonly string[];
}

/** What the passes do to a Program. */
export function explainPasses(
  traced: Traced,
): Pick<Explanation, "beforeDerivatives" | "traced" | "passes"> {
  const passes: PassReport[] = [];
  let before = printProgram(traced.program);
  runPasses(traced.program, (name, program, notes) => {
    const text = printProgram(program);
    passes.push({ name, changed: text !== before, notes: counted(notes), program });
    before = text;
  });
  return { beforeDerivatives: counted(traced.notes), traced: traced.program, passes };
}

/** The same as text: what each pass did and the Program after it, then the kernels of the executable. */
export function explainProgram(traced: Traced, executable?: Executable): string {
  const { beforeDerivatives, passes } = explainPasses(traced);
  const parts = [
    ...(beforeDerivatives.length > 0
      ? [["before derivatives were taken", ...beforeDerivatives.map(printNote)].join("\n")]
      : []),
    `as traced\n${printProgram(traced.program)}`,
    ...passes.map(({ name, changed, notes, program }) =>
      [
        `after ${name}${changed ? "" : ": no change"}`,
        ...notes.map(printNote),
        ...(changed ? [printProgram(program)] : []),
      ].join("\n")
    ),
  ];
  if (executable) parts.push(executable.describe());
  return parts.join("\n\n");
}

/** Equal notes once, with their count. */
function counted(notes: readonly string[]): PassNote[] {
  const counts = new Map<string, number>();
  for (const note of notes) counts.set(note, (counts.get(note) ?? 0) + 1);
  return [...counts].map(([text, count]) => ({ text, count }));
}

function printNote({ text, count }: PassNote): string {
  return `  ${text}${count > 1 ? ` (${count} times)` : ""}`;
}
