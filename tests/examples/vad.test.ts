/** The example of voice activity with the published file, where the registry can be reached or the cache has it. */
import { assert, assertEquals } from "@std/assert";
import { main } from "../../examples/vad/main.ts";
import { publishedDetector, publishedSpeech } from "../../examples/vad/published.ts";
import { fewExamples } from "../support/examples.ts";

const missing = (["read", "env"] as const).filter((name) =>
  Deno.permissions.querySync({ name }).state !== "granted"
);
const found = missing.length > 0
  ? `needs --allow-${missing.join(" --allow-")}`
  : fewExamples
  ? "left out of quick runs"
  : await Promise.all([publishedDetector(), publishedSpeech()]).catch(() =>
    "a package is neither in the cache nor to be had"
  );

Deno.test({
  name: `Silero's published detector listens as in onnxruntime, and learns${
    typeof found === "string" ? ` (${found})` : ""
  }`,
  ignore: typeof found === "string",
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const lines: string[] = [];
    const { speech, before, after, losses } = await main({
      small: true,
      log: (line) => void lines.push(line),
    });
    assert(before.voice > 0.9 && before.toy > 0.9 && before.room < 0.1, JSON.stringify(before));
    assertEquals(speech.length, 343); // 11 seconds
    const share = speech.filter((value) => value > 0.5).length / speech.length;
    assert(share > 0.55 && share < 0.75 && speech[0] < 0.5, `${share} of the speech, which has pauses`);
    assert(after.voice > after.toy, `it tells a toy from a voice: ${JSON.stringify(after)}`);
    assert(losses.every(Number.isFinite) && losses[2] < losses[0], `losses ${losses}`);
    assertEquals(lines.filter((line) => /✓ .*: onnxruntime-web differs by/.test(line)).length, 3);
  },
});
