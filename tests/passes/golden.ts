/**
 * The pages of `golden.md`: a Program before and after each pass. Written anew by
 *
 *     deno run --allow-write tests/passes/golden.ts
 */
import { printProgram, trace } from "../../mod.ts";
import { type Pass, passes } from "../../src/passes/mod.ts";
import { type GoldenCase, goldenCases } from "./golden_cases.ts";

const FILE = new URL("./golden.md", import.meta.url);

function passNamed(name: string): Pass {
  const pass = passes.find((each) => each.name === name);
  if (!pass) throw new Error(`No pass is called ${name}`);
  return pass;
}

function page({ pass, shows, fn, specs, after = [] }: GoldenCase): string {
  const traced = trace(fn as (...args: never[]) => unknown, ...specs).program; // tensors
  const before = after.reduce((program, name) => passNamed(name).run(program, () => {}), traced);
  const notes: string[] = [];
  const result = passNamed(pass).run(before, (text) => notes.push(text));
  return [
    `## ${pass}: ${shows}`,
    after.length > 0 ? `After ${after.join(", ")}:` : "As traced:",
    "```text\n" + printProgram(before) + "\n```",
    notes.length > 0 ? `${notes.join("; ")}:` : "Then:",
    "```text\n" + printProgram(result) + "\n```",
  ].join("\n\n");
}

/** All pages. */
export function goldenText(): string {
  return "# What each pass does\n\nWritten by `golden.ts` from the functions in `golden_cases.ts`.\n\n" +
    goldenCases.map(page).join("\n\n") + "\n";
}

if (import.meta.main) await Deno.writeTextFile(FILE, goldenText());
