import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { generatedDigits } from "../../examples/support/generated_digits.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { writeDigits } from "./support/write_digits.ts";

const EXAMPLE = new URL("../../examples/mnist.ts", import.meta.url).href;

const missing = (["run", "read", "write"] as const)
  .filter((name) => Deno.permissions.querySync({ name }).state !== "granted");

/** A test that starts processes and writes to a folder; without the permissions it is reported as ignored. */
function testInFolder(name: string, run: (folder: string) => Promise<void>): void {
  const ignore = missing.length > 0;
  Deno.test({
    name: ignore ? `${name} (needs --allow-${missing.join(" --allow-")})` : name,
    ignore,
    async fn() {
      const folder = await Deno.makeTempDir();
      try {
        await writeDigits(folder, { train: 150, t10k: 70 });
        await run(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** Runs the example in `folder` with no more permissions than that. */
async function example(folder: string, ...args: string[]) {
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--cached-only",
      `--allow-read=${folder}`,
      `--allow-write=${folder}`,
      EXAMPLE,
      ...args,
    ],
    cwd: folder,
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

testInFolder("the example trains both models, draws a digit and writes its curve", async (folder) => {
  const { code, out, err } = await example(folder, "--", "--batches", "2", "--data", folder, "--seed", "3");
  assertEquals([code, err], [0, ""]);
  assertMatch(out, /^A recurrent network learns to read handwritten digits row by row/);
  assertMatch(out, /^time: two trainings of an epoch take about \d seconds on two cores$/m);
  assertMatch(out, /\nWhat to try next:\n {2}deno task example --epochs 3 +train longer\n[^]*$/);
  assertStringIncludes(out, `data: IDX files from ${folder} (their content is not that of MNIST)`);
  assertStringIncludes(
    out,
    "an epoch is 2 of 3 batches of 64, validated on 70 of 70 digits; --full takes them all",
  );
  assertStringIncludes(out, "Total params: 24,714");
  assertStringIncludes(out, "largest difference 0\n");
  const epochs = out.match(
    /^epoch 1\/1 {2}loss: \d.* {2}accuracy: \d.* {2}val_loss: \d.* {2}val_accuracy: [01]\.\d+$/gm,
  );
  assertEquals(epochs?.length, 2, "both models are fitted, with a plain line for the epoch");
  assertMatch(out, /^times: lstm layer \d+\.\d s, rnn\(lstmCell\) \d+\.\d s$/m);

  const { images, labels } = generatedDigits(tensor([1, 150], { dtype: "int32" }), 1);
  assertMatch(out, new RegExp(`^predicted: \\d, label: ${labels.data[0]}$`, "m"));
  const drawing = out.slice(out.indexOf("predicted on reference"), out.indexOf("predicted: "));
  assert(images.data.some((ink) => ink > 0.5) && /[▀▄█▓]/.test(drawing), "the digit is drawn");

  assertStringIncludes(out, "learning curve: mnist-curve.svg");
  const curve = await Deno.readTextFile(`${folder}/mnist-curve.svg`);
  assertMatch(curve, /^<svg [^]*<\/svg>\n$/);
  for (const name of ["lstm layer", "rnn(lstmCell)", "validation"]) assertStringIncludes(curve, name);
  assert(!curve.includes("NaN"), "the curve holds numbers");
});

testInFolder("the example shows how it is used", async (folder) => {
  const { code, out } = await example(folder, "--help");
  assertEquals(code, 0);
  assertStringIncludes(out, "Usage: deno task example [options]");
});

testInFolder("the example refuses bad input in one line, before it trains", async (folder) => {
  const truncated = `${folder}/t10k-images-idx3-ubyte`;
  const refused: [args: string[], message: string][] = [
    [["--bacthes", "2"], 'did you mean "--batches"?'],
    [
      ["--data", `${folder}/nowhere`],
      "it holds neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz",
    ],
    [["--data", folder, "--device", "abacus"], 'Cannot use the device "abacus"'],
    [["--data", folder, "--curve", "nowhere/curve.svg"], "there is no folder nowhere/"],
    [["--data", folder], "t10k-images-idx3-ubyte: Cannot parse IDX data: it is truncated"],
  ];
  await Deno.truncate(truncated, 1000);
  const results = await Promise.all(refused.map(([args]) => example(folder, ...args)));
  results.forEach(({ code, out, err }, index) => {
    assertStringIncludes(err, refused[index][1]);
    assertEquals(err.trimEnd().split("\n").length, 1, `one line: ${err}`);
    assertEquals([code, out], [1, ""]);
  });
});
