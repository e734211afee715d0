/**
 * Every program of docs/examples.md, on little data. Its own claims throw where they do not hold; what it gives is
 * compared here with what one gets without a model. Left out with CELLFOLD_EXAMPLES=few.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { main as anomalies } from "../../examples/anomalies.ts";
import { main as attention } from "../../examples/attention/main.ts";
import { CHARACTERS } from "../../examples/captcha/glyphs.ts";
import { main as captcha } from "../../examples/captcha/main.ts";
import { main as characters } from "../../examples/characters.ts";
import { main as files } from "../../examples/files.ts";
import { main as forecast } from "../../examples/forecast.ts";
import { main as handwriting } from "../../examples/handwriting/main.ts";
import { main as ownCell } from "../../examples/own_cell/main.ts";
import { main as ragged } from "../../examples/ragged.ts";
import { main as serve } from "../../examples/serve/main.ts";
import type { ProgramOptions } from "../../examples/support/program.ts";
import { main as tagging } from "../../examples/tagging.ts";
import { main as voiceActivity } from "../../examples/vad/main.ts";
import { soundOf } from "../../examples/vad/recordings.ts";
import { fewExamples } from "../support/examples.ts";

type Permission = "read" | "write" | "run" | "net" | "env";

const isGranted = (name: Permission) =>
  Deno.permissions.querySync(name === "net" ? { name, host: "127.0.0.1" } : { name }).state === "granted";

/** A test of a program: it draws its picture into a file that is removed. */
function testProgram<Result>(
  name: string,
  main: (options: ProgramOptions) => Promise<Result>,
  check: (result: Result, lines: readonly string[]) => void,
  needs: readonly Permission[] = [],
): void {
  const missing = ["write" as const, "read" as const, ...needs].filter((name) => !isGranted(name));
  const reason = missing.length > 0
    ? ` (needs --allow-${missing.join(" --allow-")})`
    : fewExamples
    ? " (left out of quick runs)"
    : "";
  Deno.test({
    name: `program: ${name}${reason}`,
    ignore: reason !== "",
    fn: async () => {
      const lines: string[] = [];
      const picture = await Deno.makeTempFile({ suffix: ".svg" });
      try {
        const result = await main({ small: true, picture, log: (line) => void lines.push(line) });
        check(result, lines);
        const svg = await Deno.readTextFile(picture);
        assertMatch(svg, /^<svg [^]*<path [^]*<\/svg>\n$|^<svg [^]*<rect [^]*<\/svg>\n$/);
        assert(!svg.includes("NaN"), "what is drawn is numbers");
      } finally {
        await Deno.remove(picture);
      }
    },
  });
}

testProgram("a model of letters", characters, ({ loss, pairs }) => {
  assert(loss < pairs, `${loss}: it knows more than which letter follows which (${pairs})`);
});

testProgram("forecasting", forecast, ({ model, lastWeek, eightWeeks }) => {
  assert(model < lastWeek && model < eightWeeks, `${model}, last week ${lastWeek}, eight ${eightWeeks}`);
});

testProgram("ragged classification", ragged, ({ trivial, weighted }, lines) => {
  assert(weighted > 2 * trivial, `${weighted}, always the common class ${trivial}`);
  assert(lines.some((line) => /✓ \d+ steps, padded to 60, are predicted as they are alone/.test(line)));
});

testProgram("tagging", tagging, ({ table, model }) => {
  assert(model > table && model > 0.8, `F1 ${model}, of a table of words ${table}`);
});

testProgram("sequence to sequence", attention, ({ right, readings }) => {
  assert(right > 0.5, `${right} of the dates are right, by chance 1 in 36,525`);
  const probabilities = readings.map(({ probability }) => probability);
  assertEquals(probabilities, probabilities.toSorted((a, b) => b - a));
  assertEquals(new Set(readings.map(({ text }) => text)).size, 3, "three readings");
});

testProgram("handwriting", handwriting, ({ loss, without }) => {
  assert(loss < without - 1, `${loss} nats, with one normal distribution ${without}`);
});

testProgram("anomalies", anomalies, ({ faults, found, falseAlarms, foundByLimits }) => {
  assertEquals(faults, 8);
  assert(found >= 7 && found > foundByLimits, `${found} found, by limits ${foundByLimits}`);
  assert(falseAlarms <= 2, `${falseAlarms} false alarms`);
});

testProgram("a cell of one's own", ownCell, ({ loss, trivial }, lines) => {
  assert(loss < trivial / 4, `${loss}, of always the mean ${trivial}`);
  const exact = lines.filter((line) => /✓ (a checkpoint|safetensors|WebAssembly) .*: the same$/.test(line));
  assertEquals(exact.length, 3, lines.join("\n"));
  assert(lines.some((line) => /✓ ONNX /.test(line)) && lines.some((line) => /✓? C .*compiled/.test(line)));
}, ["run"]);

testProgram("training from files", files, ({ accuracy }, lines) => {
  const deviation = Math.sqrt(0.25 * 0.75 / 128); // of 128 recordings, guessed
  assert(accuracy > 0.25 + 4 * deviation, `${accuracy} of the recordings are right, by chance 0.25`);
  assert(
    lines.some((line) => /interrupted after \d+ of 80 updates \(aborted\)/.test(line)),
    lines.join("\n"),
  );
});

testProgram("serving", serve, ({ together, compared }) => {
  assertEquals(compared, (1 + 8) * 20);
  assert(together > 1, `${together} requests in a step`);
}, ["net"]);

/** Of the form of Silero's, with untrained weights; tests/examples/vad.test.ts has the published one. */
const smallDetector = new URL("fixtures/small_detector.onnx", import.meta.url);

testProgram("voice activity", async (options) => {
  const file = await Deno.readFile(smallDetector);
  return {
    file,
    ...await voiceActivity({ ...options, published: { file, speech: soundOf(["voice"], 20, 3) } }),
  };
}, ({ file, losses }, lines) => {
  assert(file.length < 10_000, "it needs no download");
  assert(losses.every(Number.isFinite) && losses[2] < losses[0], `losses ${losses}`);
  assertEquals(
    lines.filter((line) => /✓ .*: onnxruntime-web differs by/.test(line)).length,
    3,
    lines.join("\n"),
  );
}, ["env"]);

/** Of the form of ddddocr's, with untrained weights; tests/examples/captcha.test.ts has the published one. */
const smallReader = new URL("fixtures/small_reader.onnx", import.meta.url);

testProgram("captchas", async (options) => {
  const file = await Deno.readFile(smallReader);
  return { file, ...await captcha({ ...options, published: { file, charset: ["", ...CHARACTERS] } }) };
}, ({ file, losses }, lines) => {
  assert(file.length < 25_000, "it needs no download");
  assert(losses.every(Number.isFinite) && losses[1] < losses[0], `losses ${losses}`);
  assertEquals(
    lines.filter((line) => /✓ .*: onnxruntime-web differs by/.test(line)).length,
    2,
    lines.join("\n"),
  );
}, ["env"]);
