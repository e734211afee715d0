/** What the projects of `create` predict: of waves whose shapes are known, how probable each shape is. */
import { assert, assertEquals } from "@std/assert";

/** How many waves are shown, and how many of them have to be recognized: chance alone gives a third. */
const [WAVES, LEAST] = [9, 7];

/** Asserts that lines such as `a sine wave: sine 98 %, square 0 %, triangle 2 %` are mostly right. */
export function assertPredictions(text: string): void {
  const lines = [...text.matchAll(/^a (\w+) wave: (.+)$/gm)];
  assertEquals(lines.length, WAVES, text);
  const right = lines.filter(([, shape, rest]) => {
    const all = [...rest.matchAll(/(\w+) (\d+) %/g)].map(([, name, percent]) => ({
      name,
      percent: Number(percent),
    }));
    assertEquals(all.map(({ name }) => name), ["sine", "square", "triangle"]);
    assert(Math.abs(all.reduce((sum, { percent }) => sum + percent, 0) - 100) <= 1, rest); // rounded
    return all.every(({ name, percent }) => percent <= 50 || name === shape);
  });
  assert(right.length >= LEAST, text);
}
