/** The demo "Forecast" in a browser: files that are dropped and chosen, good and bad, and training on both devices. */
import { Buffer } from "node:buffer";
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { siteTest } from "./support/site.ts";

const PAGE = "demos/forecast.html";

async function ready(page: Page): Promise<void> {
  await page.waitForSelector('.demo[data-ready="true"]');
}

/** Drops a file on the page, as a file manager does. */
async function drop(page: Page, name: string, text: string): Promise<void> {
  const data = await page.evaluateHandle(
    `(() => {
      const data = new DataTransfer();
      data.items.add(new File([${JSON.stringify(text)}], ${JSON.stringify(name)}, { type: "text/csv" }));
      return data;
    })()`,
  );
  await page.dispatchEvent(".source", "dragover", { dataTransfer: data });
  await page.dispatchEvent(".source", "drop", { dataTransfer: data });
}

/** A wave with some noise that is always the same, as a table with a column of words. */
function wave(rows: number): string {
  const lines = Array.from({ length: rows }, (_, i) => {
    const value = 50 + 20 * Math.sin(i / 4) + 3 * Math.sin(i * i);
    return `day ${i},${value.toFixed(2)},${(100 - value).toFixed(1)}`;
  });
  return ["day,wave,other", ...lines].join("\n");
}

async function train(page: Page, device: string, epochs: number): Promise<void> {
  await page.locator('select[name="device"]').selectOption(device);
  await page.locator('input[name="epochs"]').fill(String(epochs));
  await page.getByRole("button", { name: "Train and forecast" }).click();
}

/** The two errors that the page names: the model's, and that of repeating the last value. */
async function errorsOf(page: Page): Promise<[number, number]> {
  await page.waitForSelector(".result", { timeout: 120_000 });
  const text = await page.locator(".result").innerText();
  const [model, repeated] = [...text.matchAll(/off by ([\d.]+\d)/g)].map(([, error]) => Number(error));
  return [model, repeated];
}

/** The names in the legend of the large chart. */
async function legend(page: Page): Promise<string[]> {
  return await page.locator(".line-chart").first().locator(".u-legend .u-label").allInnerTexts();
}

siteTest(
  "forecast: a CSV that is dropped is shown, learned and forecast",
  PAGE,
  async ({ page, screenshot }) => {
    await ready(page);
    await drop(page, "wave.csv", wave(240));
    await page.getByText("wave.csv: 240 rows").waitFor();
    assertEquals(await page.locator('select[name="column"] option').allInnerTexts(), ["wave", "other"]);
    assertEquals(await page.locator(".line-chart").count(), 1);
    await page.locator('input[name="lookback"]').fill("12");
    await train(page, "wasm", 20);
    const [model, repeated] = await errorsOf(page);
    assert(model < 0.7 * repeated, `${model} and ${repeated}`);
    assertEquals(await legend(page), ["measured", "predicted", "forecast"]);
    assertMatch(
      await page.locator("svg[role=img]").getAttribute("aria-label") ?? "",
      /^Histogram of the residuals/,
    );
    const bars = await page.locator("svg[role=img] rect").evaluateAll((bars) =>
      bars.map((bar) => Number(bar.getAttribute("height")))
    );
    assert(bars.filter((height) => height > 0).length > 3, bars.join(" "));
    await screenshot("forecast-dropped");
  },
);

siteTest("forecast: the example, in full", PAGE, async ({ page, screenshot }) => {
  await ready(page);
  await page.getByRole("button", { name: "Use the example" }).click();
  await page.getByText("visitors.csv: 730 rows").waitFor();
  const start = performance.now();
  await page.getByRole("button", { name: "Train and forecast" }).click();
  const [model, repeated] = await errorsOf(page);
  const seconds = (performance.now() - start) / 1000;
  console.log(
    `forecast: ${await page.locator("[data-figures]").innerText()}; ${
      seconds.toFixed(1)
    } s; ${model} against ${repeated}`,
  );
  assert(model < 0.5 * repeated, `${model} and ${repeated}`);
  await screenshot("forecast-light");
});

siteTest("forecast: on webgpu, and stopped before the end", PAGE, async ({ page }) => {
  await ready(page);
  await drop(page, "wave.csv", wave(120));
  await page.locator('input[name="lookback"]').fill("8");
  await page.locator('input[name="ahead"]').fill("4");
  await train(page, "webgpu", 500);
  await page.waitForFunction(
    `Number(/step (\\d+)/.exec(document.querySelector("[data-figures]")?.textContent)?.[1]) >= 30`,
    undefined,
    { timeout: 120_000 },
  );
  await page.getByRole("button", { name: "Stop" }).click();
  const [model, repeated] = await errorsOf(page);
  console.log(
    `forecast on webgpu: ${await page.locator("[data-figures]").innerText()}; ${model} against ${repeated}`,
  );
  assert(Number.isFinite(model) && model < 1.5 * repeated, `${model} and ${repeated}`);
  const step = Number(/step (\d+)/.exec(await page.locator("[data-figures]").innerText())?.[1]);
  assert(step < 1500, `${step} steps`); // 500 epochs are more
});

siteTest("forecast: a file that cannot be used is refused with its reason", PAGE, async ({ page }) => {
  await ready(page);
  const alert = page.getByRole("alert");
  await page.locator('input[name="file"]').setInputFiles({
    name: "words.csv",
    mimeType: "text/csv",
    buffer: Buffer.from("a,b\nx,y\n"),
  });
  await alert.getByText("No column of the file is of numbers.").waitFor();
  await drop(page, "empty.csv", "\n");
  await alert.getByText("The file is empty.").waitFor();
  await drop(page, "ragged.csv", "a,b\n1,2\n3\n");
  await alert.getByText("Line 3 has 1 fields, expected 2").waitFor();
  await drop(page, "short.csv", "a\n1\n2\n3\n");
  await page.getByRole("button", { name: "Train and forecast" }).click();
  await alert.getByText("The series has 3 rows, expected at least 60").waitFor();
  await drop(
    page,
    "gap.csv",
    "a\n" + Array.from({ length: 90 }, (_, i) => i === 11 ? "NaN" : i % 9).join("\n"),
  );
  await page.getByRole("button", { name: "Train and forecast" }).click();
  await alert.getByText("Line 13 of the column “a” has “NaN” where a number was expected.").waitFor();
  // A good one after the bad ones.
  await drop(page, "wave.csv", wave(100));
  await page.getByText("wave.csv: 100 rows").waitFor();
  assertEquals(await alert.count(), 0);
});

siteTest("forecast: dark", PAGE, async ({ page, screenshot }) => {
  await ready(page);
  await page.getByRole("button", { name: "Use the example" }).click();
  await train(page, "wasm", 8);
  await errorsOf(page);
  await screenshot("forecast-dark");
}, { dark: true });

siteTest("forecast: in Spanish on a phone", `es/${PAGE}`, async ({ page, screenshot }) => {
  await ready(page);
  await page.getByRole("button", { name: "Usar el ejemplo" }).click();
  await page.locator('input[name="epochs"]').fill("5");
  await page.getByRole("button", { name: "Entrenar y pronosticar" }).click();
  await page.waitForSelector(".result", { timeout: 60_000 });
  await screenshot("forecast-phone");
}, { phone: true });
