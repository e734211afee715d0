/** The demo "Draw a digit" in a browser: drawn with the mouse, read, and trained on both devices. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { siteTest } from "./support/site.ts";

const PAGE = "demos/digit.html";

/** A point of the drawing area, each coordinate from 0 to 1. */
type Point = readonly [x: number, y: number];

async function ready(page: Page): Promise<void> {
  await page.waitForSelector('.demo[data-ready="true"]');
}

/** Draws lines with the mouse. */
async function draw(page: Page, ...strokes: readonly (readonly Point[])[]): Promise<void> {
  const pad = page.locator(".pad canvas");
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  if (!box) throw new Error("There is no area to draw on");
  const at = ([x, y]: Point) => [box.x + x * box.width, box.y + y * box.height] as const;
  for (const [first, ...others] of strokes) {
    await page.mouse.move(...at(first));
    await page.mouse.down();
    for (const point of others) await page.mouse.move(...at(point), { steps: 6 });
    await page.mouse.up();
  }
}

const SEVEN: readonly Point[] = [[0.28, 0.2], [0.72, 0.2], [0.45, 0.85]];
const ONE: readonly Point[] = [[0.5, 0.15], [0.5, 0.85]];

/** All lines of figures that the page shows while something runs, as they come. */
async function collectFigures(page: Page): Promise<void> {
  await page.evaluate(`{
    globalThis.figures = [];
    new MutationObserver(() => {
      const text = document.querySelector("[data-figures]")?.textContent;
      if (text && text !== globalThis.figures.at(-1)) globalThis.figures.push(text);
    }).observe(document.querySelector(".demo"), { subtree: true, childList: true, characterData: true });
  }`);
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

siteTest("digit: what is drawn with the mouse is read", PAGE, async ({ page, screenshot }) => {
  await ready(page);
  await draw(page, SEVEN);
  await page.getByText("It reads a 7,").waitFor();
  await screenshot("digit-light");
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByText("Nothing is drawn yet.").waitFor();
  await draw(page, ONE);
  await page.getByText("It reads a 1,").waitFor();

  // The slider goes back to an early row, when not all is known yet.
  const slider = page.getByRole("slider");
  await slider.fill("3");
  assertMatch(await page.locator(".bars").getAttribute("aria-label") ?? "", /after row 3$/);
});

siteTest(
  "digit: rows enter one after another, and all at once for those who ask for less motion",
  PAGE,
  async ({ page }) => {
    await ready(page);
    await draw(page, ONE);
    const row = async () => Number(await page.getByRole("slider").inputValue());
    const early = await row();
    assert(early < 28, `row ${early} right after drawing`);
    await page.getByText("It reads a 1,").waitFor();
    assertEquals(await row(), 28);
    await page.emulateMedia({ reducedMotion: "reduce" });
    await page.getByRole("button", { name: "Read again" }).click();
    assertEquals(await row(), 28);
  },
);

siteTest("digit: examples are loaded by keyboard", PAGE, async ({ page }) => {
  await ready(page);
  for (const digit of [3, 8]) {
    await page.getByRole("button", { name: `An example of ${digit}` }).focus();
    await page.keyboard.press("Enter");
    await page.getByText(`It reads ${digit === 8 ? "an" : "a"} ${digit},`).waitFor();
  }
}, { still: true });

siteTest(
  "digit: says how long it takes from the load to the first prediction",
  PAGE,
  async ({ page, at }) => {
    await page.addInitScript(`{
    addEventListener("pointerdown", () => globalThis.pressedAt = performance.now(), true);
    addEventListener("DOMContentLoaded", () => {
      new MutationObserver(() => {
        if (document.querySelector('.demo[data-ready="true"]')) globalThis.readyAt ??= performance.now();
        if (document.querySelector(".bars .best")) globalThis.readAt ??= performance.now();
      }).observe(document.body, { subtree: true, childList: true, attributes: true });
    });
  }`);
    /** From the load of the page until it is ready, and from touching the area until the first prediction is shown. */
    const measure = async (): Promise<[number, number]> => {
      await page.goto(at(PAGE), { waitUntil: "load" });
      await ready(page);
      const box = await page.locator(".pad canvas").boundingBox();
      if (!box) throw new Error("There is no area to draw on");
      await page.mouse.move(box.x + 100, box.y + 50);
      await page.mouse.down();
      await page.waitForSelector(".bars .best");
      const times = await page.evaluate(
        `[readyAt - performance.getEntriesByType("navigation")[0].loadEventEnd, readAt - pressedAt]`,
      );
      await page.mouse.up();
      return times as [number, number];
    };
    const [load, first] = await measure();
    console.log(
      `digit: ready ${load.toFixed(0)} ms after the load event, the first prediction ${
        first.toFixed(0)
      } ms after the first touch`,
    );
    assert(load >= 0 && first > 0, `${load} and ${first} ms`);
  },
);

for (const [device, epochs, stopAt] of [["wasm", 2, undefined], ["webgpu", 1, 16]] as const) {
  siteTest(
    `digit: training on ${device} reduces the loss, and the new model reads`,
    PAGE,
    async ({ page, screenshot }) => {
      await ready(page);
      await draw(page, SEVEN);
      await page.getByRole("button", { name: "Train it yourself" }).click();
      await page.locator('select[name="device"]').selectOption(device);
      await page.locator('input[name="epochs"]').fill(String(epochs));
      await collectFigures(page);
      await page.getByRole("button", { name: "Train", exact: true }).click();
      if (stopAt !== undefined) {
        const reached = `Number(/step (\\d+)/.exec(globalThis.figures.at(-1))?.[1]) >= ${stopAt}`;
        await page.waitForFunction(reached, undefined, { timeout: 120_000 });
        await page.getByRole("button", { name: "Stop" }).click();
      }
      await page.waitForSelector('.training[data-state="done"]', { timeout: 120_000 });
      const figures = await page.evaluate("globalThis.figures") as string[];
      const losses = figures.map((text) => Number(/loss ([\d.]+)/.exec(text)?.[1]));
      console.log(`digit on ${device}: ${figures[0]} … ${figures.at(-1)}`);
      assert(losses.every(Number.isFinite), figures.join("\n"));
      assert(mean(losses.slice(-4)) < 0.95 * losses[0], losses.join(" "));
      const share = Number(/([\d.]+)% of the digits held out/.exec(figures.at(-1) ?? "")?.[1]);
      // Chance is a tenth; a few steps alone need not be better.
      assert(stopAt === undefined ? share > 40 : share >= 0, figures.at(-1));
      assertMatch(await page.locator('select[name="model"] option:checked').innerText(), /^trained here$/);
      await page.getByRole("button", { name: "Clear" }).click();
      await draw(page, ONE);
      await page.getByText(/It reads an? \d, at/).waitFor();
      await screenshot(`digit-trained-${device}`);
    },
  );
}

siteTest("digit: dark", PAGE, async ({ page, screenshot }) => {
  await ready(page);
  await draw(page, SEVEN);
  await page.getByText("It reads a 7,").waitFor();
  await screenshot("digit-dark");
}, { dark: true, still: true });

siteTest("digit: in Spanish on a phone", `es/${PAGE}`, async ({ page, screenshot }) => {
  await ready(page);
  await draw(page, SEVEN);
  await page.getByText("Lee un 7,").waitFor();
  await screenshot("digit-phone");
}, { phone: true, still: true });
