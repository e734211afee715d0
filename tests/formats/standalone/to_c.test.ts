/** Models in C give what the library gives, for any length and step by step, compiled by GCC and by Clang. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  type HostTensor,
  predict,
  type Spec,
  streaming,
  toHost,
  type Tree,
  treeLeaves,
} from "@cellfold/cellfold";
import { type CModel, toC, type WeightFormat } from "@cellfold/cellfold/standalone";
import { assertOutput, bytesOf, countsOf, has, run, STRICT, writeSources } from "./c_program.ts";
import { type Exported, models } from "./models.ts";
import { arraysOf, DEVICE, inputOf, stepOf, variablesOf } from "./support.ts";

const canRun = (await Deno.permissions.query({ name: "run" })).state === "granted";
const compilers = canRun
  ? (await Promise.all(["gcc", "clang"].map(async (name) => await has(name) ? [name] : []))).flat()
  : [];
const STEPS = 6, RESET = 4;

/** Compiles a model in C and calls `use` with its program. */
async function compiled(
  model: CModel,
  compiler: string,
  use: (program: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    const sources = await writeSources(directory, model);
    const program = `${directory}/program`;
    await run(compiler, [...STRICT, "-O1", "-o", program, ...sources]);
    await use(program);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function checkPredictions(
  program: string,
  exported: Exported,
  batch: number,
  tolerance: number,
): Promise<void> {
  const { model, sizes } = exported;
  const variables = variablesOf(exported);
  for (const [seed, some] of sizes.entries()) {
    const x = inputOf(exported, { ...some, batch }, seed);
    const expected = await predict(model, variables, x, { device: DEVICE, batchSize: batch }) as Tree<
      HostTensor
    >;
    const { batch: _, ...lengths } = some;
    const open = JSON.stringify(exported.input);
    const given = Object.entries(lengths).filter(([name]) => open.includes(name)).map(([, size]) =>
      String(size)
    );
    const output = await run(
      program,
      ["predict", ...given, ...countsOf(x), ...countsOf(expected)],
      bytesOf(x),
    );
    assertOutput(output, expected, tolerance, `sizes ${JSON.stringify(some)}`);
  }
}

async function checkSteps(program: string, exported: Exported, tolerance: number): Promise<void> {
  const variables = variablesOf(exported);
  const [{ shape: [first] }] = treeLeaves<Spec>(exported.input);
  using stream = streaming(exported.model, variables, {
    device: DEVICE,
    batch: typeof first === "number" ? first : 1,
  });
  const steps = Array.from({ length: STEPS }, (_, seed) => stepOf(exported, seed));
  const outputs: Tree<HostTensor>[] = [];
  for (const [index, step] of steps.entries()) {
    if (index % RESET === 0) stream.reset();
    outputs.push(await toHost(await stream.step(step)) as Tree<HostTensor>);
  }
  const output = await run(
    program,
    ["stream", `${STEPS}`, `${RESET}`, ...countsOf(steps[0]), ...countsOf(outputs[0])],
    bytesOf(steps as unknown as Tree<HostTensor>),
  );
  assertOutput(output, outputs as unknown as Tree<HostTensor>, tolerance, "steps");
}

for (const [name, exported] of Object.entries(models)) {
  Deno.test({
    name: `toC: ${name}, by ${compilers.join(" and ") || "no compiler that is here"}`,
    ignore: compilers.length === 0,
    async fn() {
      const { model, input, refused } = exported;
      const variables = variablesOf(exported);
      if (refused !== undefined) {
        const error = assertThrows(() => toC(model, variables, { input, stream: true }), TypeError);
        assertStringIncludes(error.message, refused);
      }
      const inC = toC(model, variables, { input, stream: refused === undefined });
      for (const compiler of compilers) {
        await compiled(inC, compiler, async (program) => {
          const [{ shape: [first] }] = treeLeaves<HostTensor>(input);
          await checkPredictions(program, exported, typeof first === "number" ? first : 1, 1e-6);
          if (refused === undefined) await checkSteps(program, exported, 1e-6);
        });
      }
    },
  });
}
