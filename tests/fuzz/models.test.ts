import { assert, assertEquals } from "@std/assert";
import * as layerModule from "../../src/layers/mod.ts";
import * as modelModule from "../../src/models/mod.ts";
import * as cellModule from "../../src/cells/mod.ts";
import { activationNames } from "../../src/operations/activations.ts";
import { exampleCount } from "../support/examples.ts";
import { createCoverage } from "./coverage.ts";
import { libraryInput, realize } from "./data.ts";
import { drawCase } from "./generate.ts";
import { knownActivations } from "./interpreter/activations.ts";
import { flat } from "./interpreter/nested.ts";
import { knownLayers } from "./interpreter/layers.ts";
import { fuzz } from "./main.ts";
import { Fault, predicted, trainerFor } from "./properties/context.ts";
import { predictions } from "./properties/predictions.ts";
import { properties } from "./properties/mod.ts";
import { program } from "./program.ts";

/** As many cases as show every layer and option; drawing one takes a fraction of a millisecond. */
const DRAWN = 6000;

/** What the modules export beside layers, cells and containers. */
const NO_LAYERS = [
  // of layers
  "constrained",
  "defineLayer",
  "isCarryState",
  "isRecurrentLayer",
  "layerJson",
  "layerName",
  "penaltyOf",
  "resetStates",
  "statefulLayer",
  "adapt",
  "beamSearch",
  "generate",
  "streaming",
  "streams",
  // of models
  "apply",
  "call",
  "countParams",
  "fromJson",
  "getWeights",
  "init",
  "input",
  "setWeights",
  "summary",
  "toJson",
  // of cells
  "cellJson",
];

/** Cells that have a layer of their own, under whose name the fuzzer draws them. */
const drawnAsLayer = (name: string) => name.replace(/Cell$/, "");

function factories(module: object): string[] {
  return Object.entries(module).flatMap(([name, value]) =>
    typeof value === "function" && !NO_LAYERS.includes(name) ? [name] : []
  );
}

Deno.test("fuzz: random models agree with the interpreter, and what must change nothing changes nothing", async () => {
  const seed = 20_261_128; // always the same: new ones are for the task, which has time for what they find
  const { found } = await fuzz({ models: exampleCount(150), seed, backend: "wasm" });
  const [fault] = found;
  assert(
    fault === undefined,
    fault && `seed ${fault.seed}, ${fault.property}: ${fault.message}\n${fault.program ?? ""}`,
  );
});

Deno.test("fuzz: a model that calls a stateful layer twice is compared without a gradient between its calls", async () => {
  for (const seed of [200_013_142, 200_054_523]) {
    const { found, coverage } = await fuzz({ models: 1, seed, backend: "wasm", only: "gradients" });
    assertEquals(found, []);
    assertEquals([...coverage.counts.properties], [["gradients checked", 1]]);
  }
});

/**
 * What the fuzzer does not draw: layers that other frameworks' cases hold alone, with their gradients, on every backend
 * (`tests/oracle/python/`), and a decoder that is no layer.
 */
const NOT_DRAWN = ["crf", "viterbi"];

Deno.test("fuzz: every layer, cell, activation and property is drawn", () => {
  const coverage = createCoverage();
  for (let seed = 0; seed < DRAWN; seed++) {
    const one = drawCase(seed);
    coverage.count(one, one.properties.map((property) => ({ property })));
  }
  const { layers, cells, options } = coverage.counts;
  const missing = (names: readonly string[], ...from: ReadonlyMap<string, number>[]) =>
    names.filter((name) => from.every((drawn) => !drawn.has(name)));
  assertEquals(missing([...factories(layerModule), ...factories(modelModule)], layers).sort(), NOT_DRAWN);
  assertEquals(missing(factories(cellModule).filter((name) => !layers.has(drawnAsLayer(name))), cells), []);
  const drawn = new Set([...options.keys()].flatMap((name) => name.match(/[aA]ctivation (\w+)$/)?.[1] ?? []));
  assertEquals(activationNames.filter((name) => !drawn.has(name)), []);
  assertEquals(
    missing(
      Object.keys(properties),
      new Map([...coverage.counts.properties].map(([name, count]) => [
        name.replace(/ checked$/, ""),
        count,
      ])),
    ),
    [],
  );
});

Deno.test("fuzz: the interpreter knows every layer and activation", () => {
  const exported = [...factories(layerModule), ...factories(modelModule)];
  assertEquals(exported.filter((name) => !knownLayers.includes(name)).sort(), NOT_DRAWN);
  assertEquals(activationNames.filter((name) => !knownActivations.includes(name)), []);
});

Deno.test("fuzz: a weight that is off by a thousandth is found", async () => {
  const realized = realize(drawCase(3));
  const [first, ...rest] = realized.weights;
  const off = { ...realized, weights: [{ ...first, values: moved(first.values, 1e-3) }, ...rest] };
  using trainer = trainerFor(realized, "reference");
  await predictions({ realized, device: "reference", trainer });
  let fault: unknown;
  try {
    await predictions({ realized: off, device: "reference", trainer });
  } catch (error) {
    fault = error;
  }
  assert(fault instanceof Fault, `expected a fault, got ${fault}`);
});

type Numbers = number | readonly Numbers[];

function moved(values: Numbers, by: number): Numbers {
  return typeof values === "number" ? values + by : values.map((value) => moved(value, by));
}

const mayRun = Deno.permissions.querySync({ name: "run" }).state === "granted";

Deno.test({
  name: "fuzz: a printed program builds what was run",
  ignore: !mayRun,
  fn: async () => {
    const realized = realize(drawCase(3));
    using trainer = trainerFor(realized, "reference");
    const output = await predicted({ realized, trainer }, libraryInput(realized, realized.inputs));
    const lines = (expected: number[]) => [
      `const output = await cf.predict(model, variables, x, { device: "reference" });`,
      `const got = cf.treeLeaves(output).flatMap(({ data }) => [...data]);`,
      `const expected = ${JSON.stringify(expected)};`,
      `const tolerance = 0;`,
    ];
    const exact = flat(output);
    for (const [expected, code] of [[exact, 0], [exact.map((value) => value + 1), 1]] as const) {
      const file = await Deno.makeTempFile({ suffix: ".ts" });
      await Deno.writeTextFile(file, program(realized, lines([...expected])));
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const command = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-check", "--config", config, file],
        stdout: "piped",
        stderr: "piped",
      });
      const { code: got, stderr } = await command.output();
      await Deno.remove(file);
      assertEquals(got, code, new TextDecoder().decode(stderr));
    }
  },
});
