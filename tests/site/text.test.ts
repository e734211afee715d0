/** The demo "Text by characters": what its model does in Deno, and its page. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { key } from "@cellfold/cellfold";
import { alphabetOf, encode } from "../../site/demos/text/alphabet.ts";
import {
  choices,
  freshModel,
  readModel,
  type TextModel,
  write,
  writeAtOnce,
} from "../../site/demos/text/text.ts";
import { type Trained, trainOn } from "../../site/demos/text/training.ts";
import { siteTest, type Visit } from "./support/site.ts";

const PUBLIC = new URL("../../site/public/", import.meta.url);
const mayRead = Deno.permissions.querySync({ name: "read", path: PUBLIC.pathname }).state === "granted";

const small = freshModel([..."\n abcdefgh"], 12, key(1));
const drawing = { temperature: 1, topK: 10, topP: 1, device: "wasm", steps: 60, seed: 4 } as const;

async function all(text: TextModel, prompt: string, options: Parameters<typeof write>[2]): Promise<string> {
  let result = "";
  for await (const { character } of write(text, prompt, options)) result += character;
  return result;
}

Deno.test("text: characters that the model has never seen are left out, and quotation marks are plain", () => {
  assertEquals([...encode("“a”b…c", ['"', "a", "b", "c"])], [0, 1, 0, 2, 3]);
  assertEquals(alphabetOf("abbccc", 2), ["c", "b"]);
});

Deno.test("text: choices are the probabilities after temperature, topK and topP", () => {
  const logits = Float32Array.from([0.5, 0.25, 0.15, 0.1], Math.log);
  const near = (given: Float32Array, expected: readonly number[]) =>
    given.forEach((value, i) => assertAlmostEquals(value, expected[i], 1e-6));
  near(choices(logits, { temperature: 1, topK: 4, topP: 1 }), [0.5, 0.25, 0.15, 0.1]);
  near(choices(logits, { temperature: 1, topK: 3, topP: 1 }), [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0]);
  near(choices(logits, { temperature: 1, topK: 4, topP: 0.6 }), [2 / 3, 1 / 3, 0, 0]);
  near(
    choices(logits, { temperature: 0.5, topK: 4, topP: 1 }),
    [0.25, 0.0625, 0.0225, 0.01].map((p) => p / 0.345),
  );
  near(choices(logits, { temperature: 0, topK: 4, topP: 1 }), [1, 0, 0, 0]);
});

Deno.test("text: character by character is the same as all at once", async () => {
  for (const topP of [1, 0.7]) {
    const options = { ...drawing, topP };
    assertEquals(await all(small, "abc", options), await writeAtOnce(small, "abc", options));
  }
});

Deno.test("text: another seed gives another text, and with temperature 0 the same", async () => {
  assert(await all(small, "abc", drawing) !== await all(small, "abc", { ...drawing, seed: 5 }));
  const certain = { ...drawing, temperature: 0 };
  assertEquals(await all(small, "abc", certain), await all(small, "abc", { ...certain, seed: 5 }));
});

Deno.test("text: training lowers the loss, and gives a model and what it writes", async () => {
  const text = "to fold a cell is to read a sequence, and to read it is to fold. ".repeat(6);
  const steps: Trained[] = [];
  const options = { device: "wasm", units: 24, batch: 8, length: 32, steps: 60, sampleEvery: 30 } as const;
  for await (const step of trainOn(text, options)) steps.push(step);
  assertEquals(steps.map(({ step }) => step), Array.from({ length: 60 }, (_, i) => i + 1));
  assert(steps[59].loss < 0.6 * steps[0].loss, `${steps[0].loss} became ${steps[59].loss}`);
  assertEquals(steps.filter(({ text }) => text).map(({ step }) => step), [30, 60]);
  assertEquals([...steps[59].sample ?? ""].length, 120);
});

Deno.test("text: a text that is too short is refused by its length", async () => {
  const first = () => trainOn("too short", { device: "wasm" }).next();
  await assertRejects(first, RangeError, "Cannot train on a text of 9 characters: expected at least 200");
});

Deno.test({
  name: "text: the model that ships knows the words of its book, in less than 400 kB",
  ignore: !mayRead,
  async fn() {
    const file = await Deno.readFile(new URL("models/text.safetensors", PUBLIC));
    assert(file.length < 400_000);
    const model = readModel(file);
    const book = await Deno.readTextFile(new URL("data/botchan.txt", PUBLIC));
    const known = new Set(book.toLowerCase().match(/[a-z]+/g));
    const written = await writeAtOnce(model, "The principal", {
      ...drawing,
      temperature: 0.5,
      topK: 73,
      steps: 400,
    });
    const words = written.toLowerCase().match(/[a-z]+/g) ?? [];
    const share = words.filter((word) => known.has(word)).length / words.length;
    assert(words.length > 40 && share > 0.85, `${share} of the words in ${written}`);
  },
});

/** Writes by the page until there are so many characters. */
async function writeOnPage({ page }: Visit, count: number): Promise<string> {
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.waitForFunction(`document.querySelector(".page").textContent.length > ${count + 40}`);
  await page.getByRole("button", { name: "Stop" }).first().click();
  const text = await page.locator(".page").textContent();
  return (text ?? "").slice(0, count);
}

for (const device of ["wasm", "webgpu"] as const) {
  siteTest(
    `text: writes on ${device}, and with temperature 0 twice the same`,
    "demos/text.html",
    async (visit) => {
      const { page, screenshot } = visit;
      await page.locator(".demo[data-ready=true]").waitFor();
      if (device === "webgpu") await page.locator("select[name=device]").selectOption("webgpu");
      await page.locator("input[name=slowly]").uncheck();
      await page.locator("input[name=temperature]").fill("0");
      const first = await writeOnPage(visit, 150);
      assertEquals(await writeOnPage(visit, 150), first);
      await page.locator("input[name=temperature]").fill("0.8");
      assert(await writeOnPage(visit, 150) !== first);
      await page.getByRole("button", { name: "500 at once" }).click();
      await page.getByText("500 characters in one call").waitFor();
      assert(
        /\d characters per second/.test(await page.locator(".demo .figure").first().textContent() ?? ""),
      );
      if (device === "wasm") await screenshot("text");
    },
  );
}

siteTest(
  "text: bars follow the prompt",
  "demos/text.html",
  async ({ page }) => {
    await page.locator(".demo[data-ready=true]").waitFor();
    await page.locator("input[name=prompt]").fill("I went to the sch");
    await page.waitForFunction(`document.querySelector(".bars .name").textContent === "o"`);
  },
);

for (const device of ["wasm", "webgpu"] as const) {
  siteTest(
    `text: trains on a text that is pasted, on ${device}`,
    "demos/text.html",
    async ({ page, screenshot }) => {
      await page.locator(".demo[data-ready=true]").waitFor();
      if (device === "webgpu") await page.locator("select[name=device]").selectOption("webgpu");
      await page.getByText("Train it on a text of your own").click();
      await page.locator("textarea").fill("The cat sat on the mat, and the dog sat on the log. ".repeat(40));
      await page.getByRole("button", { name: "Train" }).click();
      await page.locator(".train .sample").first().waitFor({ timeout: 120_000 });
      await page.locator(".train").getByRole("button", { name: "Stop" }).click();
      await page.locator(".train[data-done=true]").waitFor();
      assertEquals(await page.locator("select[name=model]").inputValue(), "own");
      if (device === "wasm") await screenshot("text-training");
    },
  );
}

siteTest("text: in Spanish and in the dark", "es/demos/text.html", async ({ page, screenshot }) => {
  await page.locator(".demo[data-ready=true]").waitFor();
  await page.getByRole("button", { name: "Escribir" }).click();
  await page.waitForFunction(`document.querySelector(".page").textContent.length > 120`);
  await screenshot("text-dark");
}, { dark: true, language: "es" });

siteTest("text: on a phone", "demos/text.html", async ({ page, screenshot }) => {
  await page.locator(".demo[data-ready=true]").waitFor();
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.waitForFunction(`document.querySelector(".page").textContent.length > 80`);
  await screenshot("text-phone");
}, { phone: true });
