import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { learningCurve } from "../../../examples/support/curve.ts";

const LABELS = { title: "Loss", xLabel: "epoch", yLabel: "cross-entropy" };

function points(svg: string): number[][][] {
  return [...svg.matchAll(/<polyline points="([^"]*)"/g)]
    .map(([, list]) => list.split(" ").map((pair) => pair.split(",").map(Number)));
}

Deno.test("learningCurve draws a line and a legend entry for each series, within the axes", () => {
  const svg = learningCurve([
    { name: "training", values: [2.3, 1.1, 0.6] },
    { name: "validation", values: [2.1, 1.2, 0.9] },
  ], LABELS);
  const lines = points(svg);
  assertEquals(lines.map((line) => line.length), [3, 3]);
  assert(lines.flat().every(([x, y]) => x >= 72 && x <= 616 && y >= 76 && y <= 344));
  assert(lines[0][0][1] < lines[0][2][1], "a falling loss falls on the page");
  for (const text of ["Loss", "epoch", "cross-entropy", "training", "validation"]) {
    assertStringIncludes(svg, `>${text}</text>`);
  }
});

Deno.test("learningCurve ticks at round numbers and whole epochs", () => {
  const svg = learningCurve([{ name: "accuracy", values: [0.981, 0.985, 0.9853] }], LABELS);
  const texts = [...svg.matchAll(/text-anchor="(?:end|middle)">([^<]*)</g)].map(([, text]) => text);
  assertEquals(texts, ["0.981", "0.982", "0.983", "0.984", "0.985", "0.986", "1", "2", "3", "epoch"]);
});

Deno.test("learningCurve leaves a gap where a value is not finite", () => {
  const svg = learningCurve([{ name: "loss", values: [3, 2, NaN, 1, 0.5, Infinity, 0.2] }], LABELS);
  assertEquals(points(svg).map((line) => line.length), [2, 2]);
  assertEquals([...svg.matchAll(/<circle/g)].length, 1);
  assert(!/NaN|Infinity/.test(svg));
});

Deno.test("learningCurve draws one value, and a line that is level", () => {
  for (const values of [[0], [0.5], [3, 3, 3], [-1e-9, 1e-9], [1e12, 2e12]]) {
    assert(!/NaN|Infinity|undefined/.test(learningCurve([{ name: "loss", values }], LABELS)), `${values}`);
  }
});

Deno.test("learningCurve escapes names", () => {
  const svg = learningCurve([{ name: '<script> & "', values: [1, 2] }], LABELS);
  assertStringIncludes(svg, "&lt;script&gt; &amp; &quot;");
  assert(!svg.includes("<script>"));
});

Deno.test("learningCurve refuses to draw nothing", () => {
  assertThrows(() => learningCurve([], LABELS), RangeError, "no finite value");
  assertThrows(() => learningCurve([{ name: "loss", values: [NaN] }], LABELS), RangeError, "no finite value");
});
