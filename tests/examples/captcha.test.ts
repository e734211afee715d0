/** The example of captchas with the published file, where the registry can be reached or the cache has it. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CHARACTERS, strokesOf } from "../../examples/captcha/glyphs.ts";
import { main } from "../../examples/captcha/main.ts";
import { HEIGHT, makePictures, WIDTH } from "../../examples/captcha/pictures.ts";
import { publishedReader } from "../../examples/captcha/published.ts";
import { fewExamples } from "../support/examples.ts";

const missing = (["read", "write", "env", "run"] as const).filter((name) =>
  Deno.permissions.querySync({ name }).state !== "granted"
);
const found = missing.length > 0
  ? `needs --allow-${missing.join(" --allow-")}`
  : fewExamples
  ? "left out of quick runs"
  : await publishedReader(() => {}).catch(() => "its package is neither in the cache nor to be had");

Deno.test({
  name: `ddddocr's published reader reads as in onnxruntime, and learns${
    typeof found === "string" ? ` (${found})` : ""
  }`,
  ignore: typeof found === "string",
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    if (typeof found === "string") return; // ignored
    assertEquals(found.charset.length, 8210);
    assertEquals(new Set(found.charset).size, 8210);
    const lines: string[] = [];
    const log = (line: string) => void lines.push(line);
    const { before, after, losses } = await main({ small: true, log, published: found });
    assert(before.lines.errors < 0.25 && before.dots.errors > 0.5, JSON.stringify(before));
    assert(after.dots.errors < before.dots.errors / 2, `it reads dots: ${JSON.stringify(after)}`);
    assert(after.lines.errors < 0.25, `and lines still: ${JSON.stringify(after)}`);
    assert(losses.every(Number.isFinite) && losses[1] < losses[0], `losses ${losses}`);
    assertEquals(lines.filter((line) => /✓ .*: onnxruntime-web differs by/.test(line)).length, 2);
  },
});

Deno.test("pictures of captchas: the same for a seed, of ink and paper, of every character", () => {
  for (const pen of ["lines", "dots"] as const) {
    const [first, again, other] = [1, 1, 2].map((seed) => makePictures(3, { pen, seed }));
    assertEquals(first, again);
    assert(first.texts.join() !== other.texts.join());
    assertEquals(first.pixels.shape, [3, 1, HEIGHT, WIDTH]);
    const { data } = first.pixels;
    assert(data.every((value) => value >= 0 && value <= 1));
    const dark = data.filter((value) => value < 0.5).length / data.length;
    assert(dark > 0.02 && dark < 0.3, `${pen}: ${dark} of the pixels are ink`);
    for (const text of first.texts) assert(text.length === 4 || text.length === 5, text);
  }
  assertEquals(CHARACTERS.length, 34);
  for (const character of CHARACTERS) {
    for (const [x, y] of strokesOf(character).flat()) assert(x >= 0 && x <= 4 && y >= 0 && y <= 6);
  }
  assertThrows(() => strokesOf("O"), RangeError, "Cannot draw O");
});
