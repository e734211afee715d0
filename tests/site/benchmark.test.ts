/** The page "Benchmark" in a browser: few rounds of everything, the figures as text, and cancelling. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { siteTest } from "./support/site.ts";

const PAGE = "demos/benchmark.html";

async function ready(page: Page): Promise<void> {
  await page.waitForSelector('.demo[data-ready="true"]');
}

/** Milliseconds by workload and subject, as the text says them. */
function figuresIn(text: string): Map<string, ReadonlyMap<string, number>> {
  const figures = new Map<string, Map<string, number>>();
  let rows = new Map<string, number>();
  for (const line of text.split("\n").slice(3)) {
    const row = line.match(/^ {2}(\S.*?), (WebAssembly|WebGPU) +([\d.,]+) ms/);
    if (row) rows.set(`${row[1].split(" ")[0]} ${row[2]}`, Number(row[3].replace(",", "")));
    else if (line) figures.set(line, rows = new Map());
  }
  return figures;
}

const CELLFOLD = ["Cellfold WebAssembly", "Cellfold WebGPU"];
const TENSORFLOW = "TensorFlow.js WebAssembly", ONNX = "onnxruntime-web WebAssembly";

siteTest(
  "benchmark: all rows are there, agree, and can be copied",
  PAGE,
  async ({ page, screenshot, loaded }) => {
    await ready(page);
    const before = [...(await loaded()).keys()].filter((path) =>
      /ort|tf|onnx/i.test(path.split("/").at(-1) ?? "")
    );
    assertEquals(before, []);
    await page.getByRole("spinbutton", { name: "Rounds" }).fill("2");
    await page.getByRole("button", { name: "Run the benchmark" }).click();
    await page.getByText("Done. Medians of 2 rounds").waitFor({ timeout: 400_000 });
    await screenshot("benchmark-light");
    await page.getByRole("button", { name: "Copy as text" }).click();
    await page.getByText("Copied.").waitFor();
    const text = await page.evaluate("navigator.clipboard.readText()") as string;
    assertMatch(text, /^Cellfold benchmark, \d{4}-\d\d-\d\dT/);
    assert(text.includes(await page.evaluate("navigator.userAgent") as string));
    assert(!text.includes("failed"), text);
    const figures = figuresIn(text);
    const subjects = [...figures.values()].map((rows) => [...rows.keys()].sort());
    const predicting = [...CELLFOLD, TENSORFLOW, ONNX].sort();
    const training = [...CELLFOLD, TENSORFLOW].sort();
    assertEquals(subjects, [predicting, predicting, predicting, training, training], text);
    for (const [name, rows] of figures) {
      for (const [subject, milliseconds] of rows) {
        assert(milliseconds > 0 && Number.isFinite(milliseconds), `${name}, ${subject}: ${milliseconds} ms`);
      }
    }
    assertEquals(await page.getByText("All results agree to 1e-4.").count(), 5);
  },
  { still: true, always: false }, // WebGPU is among the rows
);

siteTest(
  "benchmark: libraries that are not chosen are not loaded, and it can be cancelled",
  PAGE,
  async ({ page, loaded }) => {
    await ready(page);
    for (const name of ["onnxruntime", "webgpu"]) await page.locator(`input[name="${name}"]`).uncheck();
    await page.getByRole("button", { name: "Run the benchmark" }).click();
    await page.getByText("TensorFlow.js 4").waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText("Cancelled.", { exact: true }).waitFor();
    assertEquals(await page.getByRole("button", { name: "Copy as text" }).count(), 0);
    const wasm = [...(await loaded()).keys()].filter((path) => path.endsWith(".wasm"));
    assert(wasm.every((path) => path.includes("tfjs")), wasm.join(", "));

    // It can be run again after that.
    await page.locator('input[name="tensorflow"]').uncheck();
    await page.getByRole("spinbutton", { name: "Rounds" }).fill("1");
    await page.getByRole("button", { name: "Run the benchmark" }).click();
    await page.getByText("Done. Medians of 1 rounds").waitFor({ timeout: 120_000 });
    assertEquals(await page.locator(".workload").count(), 5);
  },
);

for (const options of [{ dark: true }, { phone: true }]) {
  const name = options.dark ? "dark" : "phone";
  siteTest(
    `benchmark: its bars, ${name}, in Spanish`,
    "es/demos/benchmark.html",
    async ({ page, screenshot }) => {
      await ready(page);
      await page.locator('input[name="webgpu"]').uncheck();
      await page.getByRole("spinbutton", { name: "Rondas" }).fill("1");
      await page.getByRole("button", { name: "Empezar la comparativa" }).click();
      await page.getByText("Terminado.").waitFor({ timeout: 120_000 });
      await screenshot(`benchmark-${name}`);
    },
    options,
  );
}
