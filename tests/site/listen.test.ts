/** The demo "Listen" in a browser: the recording is heard through the worklet, and a microphone starts and stops. */
import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { siteTest } from "./support/site.ts";

const PAGE = "demos/listen.html";

async function ready(page: Page): Promise<void> {
  await page.waitForSelector('.demo[data-ready="true"]');
}

/** The numbers in a text, as English writes them. */
function numbersIn(text: string | null): number[] {
  return [...(text ?? "").matchAll(/\d+(?:\.\d+)?/g)].map(([number]) => Number(number));
}

siteTest(
  "listen: in the recording the voice is found where it is, and not where it is not",
  PAGE,
  async ({ page, screenshot }) => {
    await ready(page);
    await page.getByRole("button", { name: "Play the recording" }).click();
    await page.waitForSelector('.demo[data-state="recording"]');
    await page.locator(".verdict.on").waitFor();
    await page.getByText("Taken for a voice").waitFor({ timeout: 60_000 });
    const [found, mistaken] = numbersIn(await page.locator(".demo [role=status]").textContent());
    assert(found > 85, `${found} % of the blocks with a voice are found`);
    assert(mistaken < 15, `${mistaken} % of the others are taken for one`);
    const [milliseconds, , share] = numbersIn(await page.locator(".time").textContent());
    assert(milliseconds > 0 && milliseconds < 8, `${milliseconds} ms per block`);
    assert(share > 0 && share < 100, `${share} % of the time`);
    assertEquals(await page.locator(".demo").getAttribute("data-state"), "idle");
    await screenshot("listen-light");
  },
);

siteTest(
  "listen: it looks right in the dark, in Spanish",
  "es/demos/listen.html",
  async ({ page, screenshot }) => {
    await ready(page);
    await page.getByRole("button", { name: "Reproducir la grabación" }).click();
    await page.getByText("Tomado por voz").waitFor({ timeout: 60_000 });
    await screenshot("listen-dark");
  },
  { dark: true },
);

siteTest("listen: it can be stopped and started again, on a phone", PAGE, async ({ page, screenshot }) => {
  await ready(page);
  for (let time = 0; time < 2; time++) {
    await page.getByRole("button", { name: "Play the recording" }).click();
    await page.locator(".verdict").waitFor();
    await page.waitForTimeout(3000);
    if (time === 1) await screenshot("listen-phone");
    await page.getByRole("button", { name: "Stop" }).click();
    await page.waitForSelector('.demo[data-state="idle"]');
    assertEquals(await page.locator(".verdict").count(), 0);
  }
}, { phone: true });

/** Keeps what a page gets when it asks for a microphone. */
const KEEPING = `{
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  globalThis.streams = [];
  navigator.mediaDevices.getUserMedia = async (options) => {
    const stream = await ask(options);
    globalThis.streams.push(stream);
    return stream;
  };
}`;

const tracks =
  "globalThis.streams.flatMap((stream) => stream.getTracks().map(({ readyState }) => readyState))";

siteTest("listen: the microphone starts and stops", PAGE, async ({ page }) => {
  await ready(page);
  await page.evaluate(KEEPING);
  await page.getByRole("button", { name: "Use the microphone" }).click();
  await page.waitForSelector('.demo[data-state="microphone"]');
  await page.locator(".verdict").waitFor(); // blocks arrive
  assertEquals(await page.evaluate(tracks), ["live"]);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.waitForSelector('.demo[data-state="idle"]');
  await page.waitForFunction(`${tracks}.every((state) => state === "ended")`);

  // It stops when the page is left as well.
  await page.getByRole("button", { name: "Use the microphone" }).click();
  await page.waitForSelector('.demo[data-state="microphone"]');
  await page.locator("a[href$='demos/forecast.html'], a[href$='index.html'], a.title").first().click();
  await page.waitForFunction(`${tracks}.length === 2 && ${tracks}.every((state) => state === "ended")`);
});

siteTest("listen: a microphone that is refused or missing is explained", PAGE, async ({ page }) => {
  await ready(page);
  for (
    const [name, text] of [["NotAllowedError", "allow it for this page"], [
      "NotFoundError",
      "There is no microphone",
    ]]
  ) {
    await page.evaluate(
      `navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "${name}"))`,
    );
    await page.getByRole("button", { name: "Use the microphone" }).click();
    await page.getByText(text).waitFor();
    assertEquals(await page.locator(".demo").getAttribute("data-state"), "idle");
  }
});
