/** The demo "Write your own cell" in Chromium: errors at their line, training on both devices, links, loops without end. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Page } from "playwright-core";
import { startNames } from "../../site/demos/cell/starts.ts";
import { siteTest, type Visit, type VisitOptions } from "./support/site.ts";

const PATH = "demos/cell.html";

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** The text of axe-core; a computed name, so that checking does not download it. */
const AXE = ["npm:axe-core", "4.14.1"].join("@");

/** An Elman network; `line 14` is where it multiplies. */
const PROGRAM = `import * as cf from "@cellfold/cellfold";

const units = 12;

export function params(key, features) {
  const [first, second] = cf.splitKey(key, 2);
  return {
    kernel: cf.uniform(first, [features, units], { min: -0.3, max: 0.3 }),
    recurrent: cf.uniform(second, [units, units], { min: -0.3, max: 0.3 }),
  };
}
export const state = (batch) => cf.zeros([batch, units]);
export const cell = ({ kernel, recurrent }) => (h, x) => {
  const next = cf.tanh(cf.add(cf.matmul(x, kernel), cf.matmul(h, recurrent)));
  return [next, next];
};
`;

function cellTest(
  name: string,
  run: (visit: Visit) => Promise<void>,
  options?: VisitOptions,
  path = PATH,
): void {
  siteTest(`cell demo: ${name}`, path, async (visit) => {
    await ready(visit.page);
    await run(visit);
  }, options);
}

async function ready(page: Page): Promise<void> {
  await page.locator(".demo[data-ready=true]").waitFor();
}

/** Replaces the program, as one pastes it. */
async function write(page: Page, program: string): Promise<void> {
  await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(program)})`);
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.press("ControlOrMeta+V");
}

async function press(page: Page, name: string): Promise<void> {
  await page.getByRole("button", { name, exact: true }).click();
}

/** Trains so many steps to the end; gives the figures. */
async function train(
  page: Page,
  steps: number,
): Promise<{ readonly loss: number; readonly rate: number; readonly text: string }> {
  await page.locator("input[name=steps]").fill(String(steps));
  await press(page, "Run");
  const end = page.getByText("Done.", { exact: true }).or(page.locator(".failure"));
  await end.waitFor({ timeout: 180_000 });
  assertEquals(await page.locator(".failure").count(), 0, await end.textContent() ?? "");
  const text = await page.locator("[data-figures]").textContent() ?? "";
  const [, step, loss, rate] = /^Step (\d+) of \d+, loss ([\d.e-]+), (\d+) steps per second/.exec(text) ?? [];
  assertEquals(Number(step), steps, text);
  return { loss: Number(loss), rate: Number(rate), text };
}

/** Runs a program that fails; gives the message, and the lines that the editor marks. */
async function failureOf(
  page: Page,
  program: string,
): Promise<{ readonly message: string; readonly marked: string }> {
  await write(page, program);
  await press(page, "Run");
  const failure = page.locator(".failure");
  await failure.waitFor();
  await page.locator(".cm-lint-marker-error").waitFor();
  // The gutter with numbers and the one with marks are columns of their own: the line is the one at the same height.
  const marked = await page.evaluate(`(() => {
    const { top } = document.querySelector(".cm-lint-marker-error").parentElement.getBoundingClientRect();
    return [...document.querySelectorAll(".cm-lineNumbers .cm-gutterElement")].find((each) =>
      each.style.visibility !== "hidden" && Math.abs(each.getBoundingClientRect().top - top) < 3)?.textContent;
  })()`) as string;
  return { message: await failure.textContent() ?? "", marked };
}

cellTest("an error of shapes while tracing is shown at its line", async ({ page, screenshot }) => {
  const wrong = PROGRAM.replace("cf.matmul(h, recurrent)", "cf.matmul(recurrent, h)");
  const { message, marked } = await failureOf(page, wrong);
  assertMatch(message, /^Line 14: .*Error: Cannot .*matmul/);
  assertEquals(marked, "14");
  await screenshot("cell-error");
});

cellTest("an error in a function that the cell calls is shown where it was thrown", async ({ page }) => {
  const { message, marked } = await failureOf(
    page,
    PROGRAM.replace("cf.zeros([batch, units])", "\n  missing(batch)"),
  );
  assertMatch(message, /^Line 13: ReferenceError: missing is not defined/);
  assertEquals(marked, "13");
});

cellTest("a syntax error is shown at its line, and nothing of the program ran", async ({ page }) => {
  const wrong = `console.log("this ran");\n${PROGRAM}`.replace("const next = ", "const next = (");
  const { message, marked } = await failureOf(page, wrong);
  assertMatch(message, /^Line 15: SyntaxError: /);
  assertEquals(marked, "15");
  assertEquals(await page.getByText("this ran", { exact: true }).count(), 0);
});

cellTest("a name that the library does not export is shown at its import", async ({ page }) => {
  const wrong = PROGRAM.replace("* as cf", "{ lstmm }");
  const { message } = await failureOf(page, wrong);
  assertMatch(message, /^Line 1: SyntaxError: .*lstmm/);
});

for (const device of ["wasm", "webgpu"] as const) {
  cellTest(
    `a program that is typed trains on ${device}, its loss falls, and its step is explained`,
    async (visit) => {
      const { page, screenshot } = visit;
      await write(page, PROGRAM.replace("return [next", "console.log('traced', next);\n  return [next"));
      await page.locator(`select[name=device] option[value=${device}]`).waitFor({ state: "attached" });
      await page.locator("select[name=device]").selectOption(device);
      await page.locator("select[name=task]").selectOption("sine");
      const early = await train(page, 1);
      const { loss, rate, text } = await train(page, device === "wasm" ? 400 : 60);
      assert(loss < (device === "wasm" ? 0.1 : 0.6) * early.loss, `${early.loss} became ${loss}`);
      assert(rate > 0, text);
      await page.getByText("traced float32[batch, 12]").first().waitFor();
      assert(await page.locator("[data-kernel]").count() > 3);
      assertMatch(
        await page.locator("[data-explained]").textContent() ?? "",
        /hoisted matmul float32\[batch, 12\]/,
      );
      const amounts = await page.locator("[data-kernel] .amount").allTextContents();
      for (const amount of amounts) {
        assertMatch(amount, device === "wasm" ? /^[\d.]+ (µs|ms)$/ : /^[\d.]+ %$/);
      }
      await screenshot(`cell-${device}`);
    },
  );
}

cellTest("each of the cells to start from runs", async ({ page }) => {
  for (const name of startNames) {
    await page.locator("select[name=start]").selectOption(name);
    const { loss } = await train(page, 30);
    assert(Number.isFinite(loss), name);
  }
}, { always: false }); // cell_starts.test.ts trains each in Deno

cellTest("a link restores the program and its settings, and does not run it", async ({ page, at }) => {
  await write(page, PROGRAM);
  await page.locator("select[name=task]").selectOption("copy");
  await page.locator("input[name=rate]").fill("0.02");
  await page.locator("input[name=steps]").fill("50");
  await press(page, "Copy link");
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const link = await page.evaluate("navigator.clipboard.readText()") as string;
  assert(link.startsWith(at(PATH)) && link === page.url(), link);

  await page.goto("about:blank");
  await page.goto(link);
  await ready(page);
  await page.getByText("It has not run.").waitFor();
  const text = await page.locator(".cm-line").allTextContents();
  assertEquals(text.join("\n"), PROGRAM);
  assertEquals(await page.locator("select[name=task]").inputValue(), "copy");
  assertEquals(await page.locator("input[name=rate]").inputValue(), "0.02");
  assertEquals(page.workers().length, 0, "it runs when somebody presses Run");
  await train(page, 50);

  await page.evaluate(`location.hash = "p=damaged"`);
  await page.getByText("The link is damaged").waitFor();
  assertEquals((await page.locator(".cm-line").allTextContents()).join("\n"), PROGRAM);
});

cellTest("a loop without an end leaves the page alive, and is stopped", async ({ page }) => {
  await write(page, PROGRAM.replace("  const next", "  for (;;);\n  const next"));
  await press(page, "Run");
  await page.getByText("Tracing and compiling").waitFor();
  await page.waitForTimeout(500);
  assertEquals(await page.evaluate("1 + 1"), 2);
  await press(page, "Stop");
  await page.getByText("Stopped.", { exact: true }).waitFor();
  for (let wait = 0; wait < 50 && page.workers().length > 0; wait++) await page.waitForTimeout(100);
  assertEquals(page.workers().length, 0);
  await write(page, PROGRAM);
  await train(page, 20);
});

cellTest("a program that does not come back is ended by the page", async ({ page }) => {
  await write(page, `${PROGRAM}while (true);\n`);
  await press(page, "Run");
  const failure = page.locator(".failure");
  await failure.waitFor({ timeout: 40_000 });
  assertMatch(await failure.textContent() ?? "", /did not return within 15 seconds/);
});

cellTest("the keyboard alone: Tab passes the editor, Ctrl+Enter runs, Escape leaves", async ({ page }) => {
  const isInEditor = () => page.evaluate(`document.activeElement.classList.contains("cm-content")`);
  await page.locator("input[name=steps]").fill("10");
  await page.keyboard.press("Tab");
  assertEquals(await isInEditor(), true);
  await page.keyboard.press("Tab");
  assertEquals(await isInEditor(), false, "Tab goes on");
  await page.keyboard.press("Shift+Tab");
  assertEquals(await isInEditor(), true);
  await page.keyboard.press("Control+Enter");
  await page.getByText("Done.", { exact: true }).waitFor({ timeout: 60_000 });
  await page.locator(".cm-content").focus();
  await page.keyboard.press("Escape");
  assertEquals(await page.evaluate("document.activeElement.textContent"), "Run");
});

for (const dark of [false, true]) {
  cellTest(
    `axe-core finds nothing serious in the picture and an error, ${dark ? "dark" : "light"}`,
    async ({ page }) => {
      await train(page, 30);
      await page.locator("[data-explained]").waitFor();
      const { default: { source } }: { default: { source: string } } = await import(AXE);
      await page.addScriptTag({ content: source });
      const find = async () => {
        const found = await page.evaluate(
          "axe.run('.demo').then(({ violations }) => violations)",
        ) as Violation[];
        return found.filter(({ impact }) => impact === "serious" || impact === "critical")
          .map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`);
      };
      assertEquals(await find(), []);
      await failureOf(page, PROGRAM.replace("matmul(h", "matmul(h, h"));
      assertEquals(await find(), []);
    },
    { dark },
  );
}

for (
  const [name, options] of [["light", {}], ["dark", { dark: true }], ["phone", { phone: true }]] as const
) {
  cellTest(`a screenshot, ${name}`, async ({ page, screenshot }) => {
    await train(page, 400);
    await page.locator("[data-explained]").waitFor();
    const width = await page.evaluate("document.documentElement.scrollWidth") as number;
    assert(width <= (page.viewportSize()?.width ?? 0), `${width} pixels wide`);
    await page.evaluate("scrollTo(0, 0)"); // the bar stays at the top
    await screenshot(`cell-${name}`);
  }, options);
}

siteTest("cell demo: the Spanish page speaks Spanish", `es/${PATH}`, async ({ page, screenshot }) => {
  await ready(page);
  await page.locator("input[name=steps]").fill("60");
  await press(page, "Ejecutar");
  await page.getByText("Terminado.", { exact: true }).waitFor({ timeout: 60_000 });
  assertMatch(await page.locator("[data-figures]").textContent() ?? "", /^Paso 60 de 60, pérdida /);
  await page.getByText("Los kernels de un paso").waitFor();
  await screenshot("cell-es");
}, { language: "es-ES" });
