/** Models in C give what the library gives, for any length and step by step, compiled by GCC and by Clang. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  gru,
  type HostTensor,
  init,
  key,
  mapTree,
  type Spec,
  spec,
  streaming,
  toHost,
  type Tree,
  treeLeaves,
  type Variables,
} from "@cellfold/cellfold";
import { allExamples } from "../../support/examples.ts";
import { type CModel, toC, type WeightFormat } from "@cellfold/cellfold/standalone";
import { assertOutput, bytesOf, countsOf, has, run, STRICT, writeSources } from "./c_program.ts";
import { maskedModels, maskOf, predictionOf } from "./masked_models.ts";
import { type Exported, models } from "./models.ts";
import { DEVICE, inputOf, stepOf, variablesOf } from "./support.ts";

const canRun = (await Deno.permissions.query({ name: "run" })).state === "granted";
const compilers = canRun
  ? (await Promise.all(["gcc", "clang"].map(async (name) => await has(name) ? [name] : []))).flat()
  : [];
/** All of them, or in CI, where each would take its time, one that is drawn. */
const someCompilers = () =>
  allExamples ? compilers : compilers.slice(Math.floor(Math.random() * compilers.length)).slice(0, 1);
const STEPS = 6, RESET = 4;
/** With the widest vectors of this machine; those of 4 and of 1 are tested with the device native, and on a Cortex-M4. */
const OPTIMIZED = ["-O2", "-march=native"];

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
    await run(compiler, [...STRICT, ...OPTIMIZED, "-o", program, ...sources]);
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
  variables = variablesOf(exported),
): Promise<void> {
  const { sizes, mask } = exported;
  // With masks twice, so that a single row has those of all kinds.
  for (const [seed, some] of [...sizes, ...(mask ? sizes : [])].entries()) {
    const x = inputOf(exported, { ...some, batch }, seed), mask = maskOf(exported, { ...some, batch }, seed);
    const expected = await predictionOf(exported, variables, x, mask);
    const given: Tree<HostTensor> = mask === undefined ? x : [x, mask];
    const { batch: _, ...lengths } = some;
    const open = JSON.stringify(exported.input);
    const numbers = Object.entries(lengths).filter(([name]) => open.includes(name)).map(([, size]) =>
      `${size}`
    );
    const output = await run(
      program,
      ["predict", ...numbers, ...countsOf(given), ...countsOf(expected)],
      bytesOf(given),
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

for (const [name, exported] of Object.entries({ ...models, ...maskedModels })) {
  const compilers = someCompilers();
  Deno.test({
    name: `toC: ${name}, by ${compilers.join(" and ") || "no compiler that is here"}`,
    ignore: compilers.length === 0,
    async fn() {
      const { model, input, mask, refused } = exported;
      const variables = variablesOf(exported);
      if (refused !== undefined) {
        const error = assertThrows(() => toC(model, variables, { input, stream: true }), TypeError);
        assertStringIncludes(error.message, refused);
      }
      const inC = toC(model, variables, { input, mask, stream: refused === undefined });
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

/** A matrix as it is stored in fewer bits; each channel of integers is a column, or a row of a table. */
function rounded(tensor: HostTensor, format: WeightFormat, isTable: boolean): HostTensor {
  const { shape, data } = tensor;
  if (shape.length !== 2 || format === "float32") return tensor;
  if (format === "float16") return { ...tensor, data: Float32Array.from(data, Math.f16round) };
  const [rows, columns] = shape;
  const channel = (index: number) => isTable ? Math.floor(index / columns) : index % columns;
  const scales = new Float32Array(isTable ? rows : columns);
  data.forEach((value, index) => {
    scales[channel(index)] = Math.max(scales[channel(index)], Math.fround(Math.abs(value) / 127));
  });
  return {
    ...tensor,
    data: Float32Array.from(data, (value, index) => {
      const scale = scales[channel(index)];
      return scale === 0 ? 0 : Math.round(value / scale) * scale;
    }),
  };
}

for (const weights of ["float16", "int8"] as const) {
  for (const name of ["letters", "8. digits", "masked tokens"]) {
    Deno.test({
      name: `toC: ${name} with weights in ${weights} is the model with these weights`,
      ignore: compilers.length === 0,
      async fn() {
        const exported = models[name];
        const variables = variablesOf(exported);
        const stored: Variables = {
          ...variables,
          params: mapTree(
            variables.params,
            (leaf: HostTensor, path) => rounded(leaf, weights, String(path.at(-1)) === "embeddings"),
          ),
        };
        const { input } = exported;
        const inC = toC(exported.model, variables, { input, weights });
        const full = toC(exported.model, variables, { input }).bytes.constants;
        assert(inC.bytes.constants < full * 0.65, "bytes of constants");
        await compiled(inC, compilers[0], (program) => checkPredictions(program, exported, 1, 2e-6, stored));
      },
    });
  }
}

Deno.test({
  name: "toC: arrays that are shorter than a vector give no warning, for vectors of any width",
  ignore: compilers.length === 0,
  async fn() {
    const { model, input } = models["features in order"];
    const directory = await Deno.makeTempDir();
    try {
      const sources = await writeSources(
        directory,
        toC(model, variablesOf(models["features in order"]), { input }),
      );
      const widths = Deno.build.arch === "x86_64" ? [[], ["-mavx2", "-mfma"], ["-mavx512f"]] : [[]];
      for (const compiler of compilers) {
        for (const width of widths) {
          await run(compiler, [...STRICT, "-O2", ...width, "-c", sources[0], "-o", `${directory}/object`]);
        }
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test({
  name: "toC: names may be words and macros of C, and words of the file itself",
  ignore: compilers.length === 0,
  async fn() {
    const model = gru({ units: 2, returnSequences: true });
    const variables = init(model, key(0), spec([1, null, 3]));
    const names = [
      "work",
      "state",
      "output",
      "int32_t",
      "NULL",
      "UINT8_MAX",
      "linux",
      "_Alignof",
      "bool",
      "v_add",
      "n",
    ];
    const directory = await Deno.makeTempDir();
    try {
      const files = await Promise.all(names.map(async (size) => {
        const name = `${size}_`;
        const written = toC(model, variables, { input: spec([1, size, 3]), name, stream: true });
        const [file] = await writeSources(directory, written);
        return file;
      }));
      for (const compiler of compilers) await run(compiler, [...STRICT, "-fsyntax-only", ...files]);
      const { name, source, header } = toC(model, variables, { input: spec([1, null, 3]), name: "_" });
      assertEquals([name, source.includes('#include "_.h"'), header.includes("int __predict(")], [
        "_",
        true,
        true,
      ]);
      const [file] = await writeSources(directory, {
        name,
        source,
        header,
        bytes: { constants: 0, work: () => 0 },
      });
      for (const compiler of compilers) await run(compiler, [...STRICT, "-fsyntax-only", file]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

/** Keywords of C23 and C++23, but for those that C11 has. */
const NEWER =
  ("alignas alignof and and_eq asm bitand bitor bool catch char16_t char32_t char8_t class co_await co_return " +
    "co_yield compl concept const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export false " +
    "friend mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register " +
    "reinterpret_cast requires static_assert static_cast template this thread_local throw true try typeid typename typeof " +
    "typeof_unqual using virtual wchar_t xor xor_eq").split(" ");

/** Macros of standard headers that look like names. */
const MACROS = ["complex", "errno", "I", "imaginary", "noreturn"];
const HEADERS_WITH_MACROS = "#include <complex.h>\n#include <errno.h>\n#include <stdnoreturn.h>\n";

Deno.test({
  name: "toC: a header is one of C++ and of newer C too, whatever sizes are called",
  ignore: !canRun || !await has("g++"),
  async fn() {
    const model = gru({ units: 2, returnSequences: true });
    const variables = init(model, key(0), spec([1, null, 3]));
    const directory = await Deno.makeTempDir();
    try {
      const includes: string[] = [];
      for (const size of [...NEWER, ...MACROS]) {
        const { name, header } = toC(model, variables, {
          input: spec([1, size, 3]),
          name: `m_${size}`,
          stream: true,
        });
        await Deno.writeTextFile(`${directory}/${name}.h`, header);
        includes.push(`#include "${name}.h"\n`);
      }
      const main = `${includes.join("")}int main(void) { return 0; }\n`;
      const strict = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"];
      for (
        const [command, standard, end] of [["g++", "c++20", "cc"], ["g++", "c++11", "cc"], [
          "gcc",
          "c2x",
          "c",
        ]]
      ) {
        await Deno.writeTextFile(`${directory}/main.${end}`, (end === "c" ? HEADERS_WITH_MACROS : "") + main);
        await run(command, [`-std=${standard}`, ...strict, `${directory}/main.${end}`]);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test({
  name: "toC: sizes of less than 1 are refused, and nothing is written",
  ignore: compilers.length === 0,
  async fn() {
    const exported = models["1. a first model"];
    const { model, input } = exported;
    const { name, source, header } = toC(model, variablesOf(exported), { input });
    const size = header.match(/WORK\((\w+)\)/);
    assert(size, "the model has an open size");
    const directory = await Deno.makeTempDir();
    try {
      const main = `#include "${name}.h"
int main(void) {
  return ${name}_predict(0, 0, 0, 0) == 0 && ${name}_predict(0, -5, 0, 0) == 0 ? 0 : 1;
}
`;
      const files = { [`${name}.c`]: source, [`${name}.h`]: header, "main.c": main };
      for (const [file, text] of Object.entries(files)) {
        await Deno.writeTextFile(`${directory}/${file}`, text);
      }
      const program = `${directory}/program`;
      await run(compilers[0], [...STRICT, "-o", program, `${directory}/${name}.c`, `${directory}/main.c`]);
      assertEquals((await run(program, [])).length, 0);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
