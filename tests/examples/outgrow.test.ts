/**
 * The example beyond one machine. All of it runs where CELLFOLD_OUTGROW names a folder for its Python environment (of
 * 6 GB on Linux, kept from run to run) or is 1, which means the user's cache folder; its scripts alone where
 * CELLFOLD_PYTHON has their packages.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dense, host, hostTensor, init, key, ones, predict, spec, type Tensor } from "@cellfold/cellfold";
import { decodeSafetensors, encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { toOnnx } from "@cellfold/cellfold/onnx";
import { firstState, GLOBAL_BATCH, readState, UPDATES } from "../../examples/outgrow/own_cell.ts";
import { trainAlone } from "../../examples/outgrow/parallel.ts";
import { environmentOf, firstLine } from "../../examples/outgrow/setup.ts";
import { largestDifference, noise } from "../../examples/support/section.ts";
import { guideModels } from "../../examples/support/guide_models.ts";
import { testWithPython } from "../formats/support/python.ts";
import { writeDigits } from "./support/write_digits.ts";

const EXAMPLE = new URL("../../examples/outgrow/main.ts", import.meta.url).href;

const WORKER = new URL("../../examples/outgrow/worker.ts", import.meta.url).href;

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
          "two workers have computed gradients",
          "every update had the loss that one process has, to 1e-5",
          "killed at update 29, worker 1 is lost",
          "started again, both go on from the checkpoint after 24 updates",
          "they end with the same weights, bit for bit",
          "the trained model: opset 17, accepted",
          ...guideModels.map(({ name }) => `${name}: opset 17, accepted`),
          "it answers what we predict, to 1e-5",
        ]
      ) assertStringIncludes(out, `  ✓ ${claimed}`);
      assertMatch(out, /^ {2}✓ they end as one process with the whole batches does, to \d(\.\d+)?e-\d+$/m);
      assertMatch(out, /^ {2}✓ the loss of a batch has fallen from \d\.\d{4} to \d\.\d{4}$/m);
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

Deno.test({
  name: "workers whose gradients are averaged end as one process does, also where they begin again" +
    (permitted ? "" : permissions),
  ignore: !permitted,
  fn: () =>
    inFolder(async (folder) => {
      const samples = 3 * GLOBAL_BATCH;
      const digits = {
        x: noise([samples, 28, 28]),
        y: hostTensor(Int32Array.from({ length: samples }, (_, index) => index * 7 % 10), [samples]),
      };
      await Deno.writeFile(`${folder}/digits.safetensors`, encodeSafetensors(digits));
      const alone = await trainAlone(digits);
      await averageWorkers(folder, { until: 19 });
      assertEquals((await readState(`${folder}/state.safetensors`)).updates, 16);
      await averageWorkers(folder, { from: 16 });
      const { state, updates } = await readState(`${folder}/state.safetensors`);
      assertEquals(updates, UPDATES);
      const difference = largestDifference(state.params, alone.state.params);
      assert(difference < 1e-5, `${difference}`);
      assert(largestDifference(state.params, firstState().params) > 0.01, "they have trained");
    }),
});

/** Two processes of worker.ts, and what parallel.py does between them; killed before an update, or to their end. */
async function averageWorkers(folder: string, { from = 0, until = UPDATES }): Promise<void> {
  const workers = [0, 1].map((rank) => {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...[
          "run",
          "--allow-read",
          `--allow-write=${folder}`,
          "--no-prompt",
          "--no-check",
          WORKER,
          `${rank}`,
          "2",
        ],
        ...[`${folder}/digits.safetensors`, `${folder}/state.safetensors`],
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    return { process, input: process.stdin.getWriter(), output: process.stdout.getReader({ mode: "byob" }) };
  });
  const take = async ({ output }: typeof workers[number], count: number) => {
    const { value } = await output.read(new Uint8Array(count), { min: count });
    assertEquals(value?.length, count);
    return value ?? new Uint8Array();
  };
  for (let update = from; update < until; update++) {
    const files = await Promise.all(workers.map(async (worker) => {
      const [length] = new Uint32Array((await take(worker, 4)).slice().buffer);
      return decodeSafetensors(await take(worker, length));
    }));
    assertEquals(files.map(({ metadata }) => metadata.update), [`${update}`, `${update}`]);
    const [mean, other] = files.map(({ tensors }) => tensors);
    for (const [name, { data }] of Object.entries(mean)) {
      data.forEach((value, index) => data[index] = (value + other[name].data[index]) / 2);
    }
    const bytes = encodeSafetensors(mean);
    for (const { input } of workers) {
      await input.write(new Uint8Array(Uint32Array.of(bytes.length).buffer));
      await input.write(bytes);
    }
  }
  for (const { process, input, output } of workers) {
    if (until < UPDATES) process.kill("SIGKILL");
    else assertEquals((await process.status).code, 0);
    await process.status;
    await output.cancel();
    await input.close().catch(() => {}); // the process has ended
  }
}

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
