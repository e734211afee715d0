/**
 * The example beyond one machine. All of it runs where CELLFOLD_OUTGROW names a folder for its Python environment (of
 * 6 GB on Linux, kept from run to run) or is 1, which means the user's cache folder; its scripts alone where
 * CELLFOLD_PYTHON has their packages.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dense, host, init, key, ones, predict, spec, type Tensor } from "@cellfold/cellfold";
import { encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { toOnnx } from "@cellfold/cellfold/onnx";
import { environmentOf, firstLine } from "../../examples/outgrow/setup.ts";
import { guideModels } from "../../examples/support/guide_models.ts";
import { testWithPython } from "../formats/support/python.ts";
import { writeDigits } from "./support/write_digits.ts";

const EXAMPLE = new URL("../../examples/outgrow/main.ts", import.meta.url).href;

const missing = (["read", "write", "run", "env", "net"] as const).filter((name) =>
  Deno.permissions.querySync(name === "net" ? { name, host: "127.0.0.1" } : { name }).state !== "granted"
);
const permitted = missing.length === 0;
const outgrow = permitted ? Deno.env.get("CELLFOLD_OUTGROW") : undefined;
const permissions = ` (needs --allow-${missing.join(" --allow-")})`;

async function example(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", EXAMPLE, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "a model outgrows the machine: Ray Train and PyTorch, ONNX's checker, a server" +
    (!permitted ? permissions : outgrow ? "" : " (needs CELLFOLD_OUTGROW)"),
  ignore: !outgrow,
  fn: () =>
    inFolder(async (folder) => {
      await writeDigits(folder, { train: 640, t10k: 100 });
      const work = outgrow === "1" || outgrow === undefined ? [] : ["--work", outgrow];
      const { code, out, err } = await example("--data", folder, ...work);
      assertEquals(code, 0, err);
      assertStringIncludes(out, `data: IDX files from ${folder} (their content is not that of MNIST)`);
      assertStringIncludes(out, "training here, on 640 digits");
      for (const rank of [0, 1]) {
        assertMatch(out, new RegExp(`^  worker ${rank}, process \\d+: 320 digits, loss \\d\\.\\d{4}$`, "m"));
      }
      for (
        const claimed of [
          "two worker processes have trained",
          "they end with the same weights",
          "PyTorch predicted what we did when it began, to 1e-5",
          "read back, we predict what PyTorch does, to 1e-5",
          "the trained model: opset 17, accepted",
          ...guideModels.map(({ name }) => `${name}: opset 17, accepted`),
          "it answers what we predict, to 1e-5",
        ]
      ) assertStringIncludes(out, `  ✓ ${claimed}`);
      assertMatch(out, /^ {2}✓ the loss has fallen from \d\.\d{4} to \d\.\d{4}$/m);
      assertMatch(out, /^ {2}posted a digit \d; it says: \d$/m);
      assert(out.endsWith("  stopped\n"), out);
    }),
});

Deno.test({
  name: `the example beyond one machine refuses what cannot work, before it trains${
    permitted ? "" : permissions
  }`,
  ignore: !permitted,
  fn: () =>
    inFolder(async (folder) => {
      await writeDigits(folder, { train: 63, t10k: 5 });
      const few = await example("--data", folder, "--work", folder);
      assertEquals(few.code, 1);
      assertStringIncludes(few.err, "there are 63 digits to train with, expected at least 64");

      await writeDigits(folder, { train: 64, t10k: 5 });
      const python = await example("--data", folder, "--work", folder, "--python", `${folder}/nowhere`);
      assertEquals(python.code, 1);
      assertStringIncludes(python.err, `there is no Python 3.10 or newer (${folder}/nowhere does not run)`);
      assert(!python.out.includes("training"), python.out);

      const option = await example("--wrok", folder);
      assertEquals(option.code, 1);
      assertStringIncludes(option.err, "--wrok");

      const help = await example("--help");
      assertEquals(help.code, 0);
      assertStringIncludes(help.out, "Usage: deno task outgrow [options]");
    }),
});

const layer = dense({ units: 2 });
const input = spec([null, 3]);
const variables = init(layer, key(0), input);
const x = ones([4, 3]);

testWithPython(
  "check.py finds a difference, a wrong shape and a broken file",
  "onnx and onnxruntime",
  async (folder) => {
    const python = environmentOf(Deno.env.get("CELLFOLD_PYTHON") ?? "");
    const right = host(await predict(layer, variables, x));
    const check = async (output: Tensor) => {
      await Deno.writeFile(folder.path("m.onnx"), toOnnx(layer, variables, { input }));
      await Deno.writeFile(
        folder.path("m.safetensors"),
        encodeSafetensors({ input: { input: x }, output: { output } }),
      );
      return JSON.parse(await python.run("check.py", folder.path("m.onnx")));
    };
    const agreed = await check(right);
    assertEquals(agreed.opset, 17);
    assert(agreed.difference < 1e-6);
    const off = {
      ...right,
      data: Float32Array.from(right.data, (value, index) => index === 3 ? value + 0.5 : value),
    };
    assert(
      Math.abs((await check(off)).difference - 0.5) < 0.3,
      "relative to the largest where that is above 1",
    );
    const failure = async (run: () => Promise<unknown>) =>
      await run().then(() => "nothing failed", (error: Error) => error.message);
    assertStringIncludes(await failure(() => check(ones([4, 1]))), "output is (4, 2), expected (4, 1)");
    await Deno.truncate(folder.path("m.onnx"), 40);
    assertMatch(await failure(() => python.run("check.py", folder.path("m.onnx"))), /fails with status 1/);
  },
);

testWithPython("serve.py answers, and refuses what is no input", "onnxruntime", async (folder) => {
  await Deno.writeFile(folder.path("m.onnx"), toOnnx(layer, variables, { input }));
  const server = environmentOf(Deno.env.get("CELLFOLD_PYTHON") ?? "").start(
    "serve.py",
    folder.path("m.onnx"),
  );
  try {
    const address = await firstLine(server.stdout) ?? "";
    assertMatch(address, /^http:\/\/127\.0\.0\.1:\d+\/$/);
    const post = async (body: string) => {
      const response = await fetch(address, { method: "POST", body });
      return { status: response.status, ...await response.json() };
    };
    assertEquals(Object.keys((await (await fetch(address)).json()).inputs), ["input"]);
    const right = host(await predict(layer, variables, ones([1, 3])));
    const { status, output } = await post(JSON.stringify({ input: [[1, 1, 1]] }));
    assertEquals(status, 200);
    right.data.forEach((value, index) => assert(Math.abs(value - output[0][index]) < 1e-5));
    assertEquals((await post("{")).status, 400);
    assertEquals(await post("{}"), { status: 400, error: "there is no input 'input'" });
    assertEquals((await post(JSON.stringify({ input: [[1, 1]] }))).status, 400);
    assertEquals((await post(JSON.stringify({ input: [[1], [1, 1]] }))).status, 400);
    assertEquals((await post(JSON.stringify([1]))).status, 400);
    assertEquals((await fetch(address)).status, 200, "it still serves");
  } finally {
    server.kill();
    await server.status;
  }
});
