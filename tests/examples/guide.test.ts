import { assert } from "@std/assert";
import { sections } from "../../examples/guide.ts";

for (const [title, section] of Object.entries(sections)) {
  Deno.test(`section of the guide: ${title}`, async () => {
    const lines: string[] = [];
    await section((line) => void lines.push(line)); // throws where a claim does not hold
    assert(lines.some((line) => line.includes("✓")), "a section claims something");
  });
}
