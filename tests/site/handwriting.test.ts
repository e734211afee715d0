/** The demo "Handwriting": ink and steps, what the model writes in Deno, and its page. The loss has a test of its own. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { key } from "@cellfold/cellfold";
import { freshWeights, readModel } from "../../site/demos/handwriting/handwriting.ts";
import {
  type Point,
  resample,
  smooth,
  STEP,
  stepsOf,
  type Stroke,
} from "../../site/demos/handwriting/ink.ts";
import { handFrom, type Letters, randomFrom, writeWords } from "../../site/demos/handwriting/letters.ts";
import { type Drawn, writeOn } from "../../site/demos/handwriting/pen.ts";
import { lastLine, penAt, type Sheet } from "../../site/demos/handwriting/sheet.ts";
import { siteTest, type Visit } from "./support/site.ts";

const PUBLIC = new URL("../../site/public/", import.meta.url);
const mayRead = Deno.permissions.querySync({ name: "read", path: PUBLIC.pathname }).state === "granted";

const sheet: Sheet = { width: 28, lines: 3, spacing: 5, top: 3.6 };

Deno.test("ink: resampled strokes keep their ends and have steps of equal length", () => {
  const corner: Stroke = [[0, 0], [0, 0], [3, 0], [3, 4.1]];
  const points = resample(corner);
  assertEquals([points[0], points.at(-1)], [[0, 0], [3, 4.1]]);
  assertEquals(points.length, 1 + Math.round(7.1 / STEP));
  const length = 7.1 / (points.length - 1);
  // No step is longer than its piece of the line, and only the one around the corner is shorter.
  const steps = points.slice(1).map(([x, y], i) => Math.hypot(x - points[i][0], y - points[i][1]));
  assertEquals(steps.filter((step) => Math.abs(step - length) > 1e-12).length, 1);
  assertEquals(resample([[1, 2]]), [[1, 2], [1, 2]]);
});

Deno.test("ink: a smooth line goes through the points that it is made from", () => {
  const stroke: Stroke = [[0, 0], [1, 2], [3, 1], [4, 4]];
  const line = smooth(stroke, 4);
  stroke.forEach((point, i) => assertEquals(line[4 * i], point));
});

Deno.test("ink: a pen that makes the steps of strokes draws these strokes", () => {
  const strokes: Stroke[] = [[[2, 3], [4, 3.5]], [[5, 2], [6, 3], [6, 4]]];
  const pen = penAt(sheet, []);
  const [x, y] = pen.position;
  for (const step of stepsOf(strokes, [x, y])) assert(pen.move(step));
  assertEquals(pen.strokes.length, 2);
  pen.strokes.forEach((stroke, i) =>
    resample(strokes[i]).forEach(([x, y], j) => {
      assertAlmostEquals(stroke[j][0], x, 1e-12);
      assertAlmostEquals(stroke[j][1], y, 1e-12);
    })
  );
});

Deno.test("sheet: a pen takes a new line where one is full, and ends where the sheet is", () => {
  const pen = penAt(sheet, []);
  let moves = 0;
  while (pen.move({ location: [1, 0], pressure: 1 })) moves++;
  assertEquals(pen.strokes.length, 3);
  assertEquals(moves, pen.strokes.reduce((sum, { length }) => sum + length, 0));
  pen.strokes.forEach((stroke, line) =>
    stroke.forEach(([, y]) => assert(Math.abs(y - sheet.top - 5 * line) < 1.5))
  );
  assertEquals(lastLine(sheet, pen.strokes), [pen.strokes[2]]);
});

/** What a model writes after some ink, on a sheet. */
async function completed(
  variables: Parameters<typeof writeOn>[0],
  ink: readonly Stroke[],
  options: { readonly steps: number; readonly seed: number; readonly bias?: number },
): Promise<{ readonly strokes: readonly Stroke[]; readonly steps: readonly Drawn[] }> {
  const pen = penAt(sheet, ink);
  const steps: Drawn[] = [];
  for await (
    const step of writeOn(variables, stepsOf(ink, ink[0]?.[0] ?? [0, 0]), {
      bias: 0.75,
      device: "wasm",
      ...options,
    })
  ) {
    if (!pen.move(step)) break;
    steps.push(step);
  }
  return { strokes: pen.strokes, steps };
}

/** A loop and a line on the first line of the sheet. */
const loop: Stroke = Array.from({ length: 40 }, (_, i): Point => {
  const angle = 2 * Math.PI * i / 30;
  return [2 + i / 30 - 0.5 * Math.cos(angle), sheet.top - 0.5 - 0.5 * Math.sin(angle)];
});

function assertInside(strokes: readonly Stroke[]): void {
  const bottom = sheet.top + (sheet.lines - 1) * sheet.spacing + 2;
  const points = strokes.flat();
  const lost = points.find(([x, y]) => !(x >= 0 && x <= sheet.width && y >= 0 && y <= bottom));
  assertEquals(lost, undefined); // NaN is not inside
}

Deno.test("handwriting: the ink of any weights is finite and on the sheet", async () => {
  for (const seed of [1, 2]) {
    const { strokes, steps } = await completed(freshWeights(key(seed)), [loop], {
      steps: 150,
      seed,
      bias: 0,
    });
    assertInside(strokes);
    for (const { mixture, down } of steps) {
      assertAlmostEquals(mixture.reduce((sum, { weight }) => sum + weight, 0), 1, 1e-5);
      assert(down > 0 && down < 1);
    }
  }
});

Deno.test("handwriting: the same seed writes the same, another one something else", async () => {
  const weights = freshWeights(key(3));
  const write = async (seed: number) => (await completed(weights, [loop], { steps: 40, seed })).strokes;
  assertEquals(await write(1), await write(1));
  assert(JSON.stringify(await write(1)) !== JSON.stringify(await write(2)));
});

Deno.test({
  name: "handwriting: the model that ships goes on with strokes like those of letters",
  ignore: !mayRead,
  async fn() {
    const variables = readModel(await Deno.readFile(new URL("models/handwriting.safetensors", PUBLIC)));
    const letters: Letters = JSON.parse(await Deno.readTextFile(new URL("data/script-letters.json", PUBLIC)));
    const random = randomFrom(1);
    const word = writeWords(letters, ["the"], handFrom(random), random)
      .map((stroke) => stroke.map(([x, y]): Point => [x + 1.5, y + sheet.top]));
    for (const seed of [1, 2, 3]) {
      const { strokes, steps } = await completed(variables, word, { steps: 400, seed });
      assertInside(strokes);
      // In the data one step of 28 lifts the pen, and a step that draws is about one unit long.
      const drawn = steps.filter(({ pressure }) => pressure === 1);
      const lifted = 1 - drawn.length / steps.length;
      assert(lifted > 0.005 && lifted < 0.15, `the pen is lifted at ${lifted} of the steps`);
      const length = drawn.reduce((sum, { location: [x, y] }) => sum + Math.hypot(x, y), 0) / drawn.length;
      assert(length > 0.8 && length < 1.2, `steps are ${length} long`);
      const right = Math.max(...strokes.flat().map(([x]) => x));
      assert(right > 12, `it writes to the right, until ${right}`);
    }
  },
});

/** Draws a loop with the mouse at the left of the first line. */
async function drawLoop({ page }: Visit): Promise<void> {
  await page.locator(".demo[data-ready=true]").waitFor();
  const canvas = page.locator(".paper canvas");
  await canvas.scrollIntoViewIfNeeded();
  const box = await canvas.boundingBox();
  assert(box);
  const unit = box.width < 500 ? 17 : 24;
  const at = ([x, y]: Point) => [box.x + unit * x, box.y + unit * y] as const;
  await page.mouse.move(...at(loop[0]));
  await page.mouse.down();
  for (const point of loop.slice(1)) await page.mouse.move(...at(point));
  await page.mouse.up();
}

/** Of the canvas, how many pixels have ink of the model: it is blue, all else is gray. */
const BLUE = `(() => {
  const canvas = document.querySelector(".paper canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 128 && data[i + 2] - data[i] > 60) count++;
  return count;
})()`;

for (const device of ["wasm", "webgpu"] as const) {
  siteTest(
    `handwriting: goes on after a loop that the mouse draws, on ${device}`,
    "demos/handwriting.html",
    async (visit) => {
      const { page, screenshot } = visit;
      await page.locator(".demo[data-ready=true]").waitFor();
      if (device === "webgpu") await page.locator("select[name=device]").selectOption("webgpu");
      assertEquals(await page.evaluate(BLUE), 0);
      await drawLoop(visit);
      await page.waitForFunction(`Number(document.querySelector(".demo").dataset.steps) > 200`, undefined, {
        timeout: 60_000,
      });
      await page.getByRole("button", { name: "Stop" }).click();
      assert(await page.evaluate(BLUE) as number > 300);
      if (device === "wasm") await screenshot("handwriting");
      await page.getByRole("button", { name: "Clear" }).click();
      assertEquals(await page.evaluate(BLUE), 0);
    },
  );
}

siteTest(
  "handwriting: begins with a word by the keyboard",
  "demos/handwriting.html",
  async ({ page }) => {
    await page.locator(".demo[data-ready=true]").waitFor();
    await page.locator("input[name=beginning]").fill("cell");
    await page.locator("input[name=beginning]").press("Enter");
    await page.waitForFunction(`Number(document.querySelector(".demo").dataset.steps) > 100`);
    assert(await page.evaluate(BLUE) as number > 100);
  },
  { still: true },
);

siteTest("handwriting: in Spanish and in the dark", "es/demos/handwriting.html", async (visit) => {
  await drawLoop(visit);
  await visit.page.waitForFunction(`Number(document.querySelector(".demo").dataset.steps) > 150`);
  await visit.screenshot("handwriting-dark");
}, { dark: true, language: "es" });

siteTest("handwriting: on a phone", "demos/handwriting.html", async (visit) => {
  await drawLoop(visit);
  await visit.page.waitForFunction(`Number(document.querySelector(".demo").dataset.steps) > 150`);
  await visit.screenshot("handwriting-phone");
}, { phone: true });
