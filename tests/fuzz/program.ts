/** A case as a program of its own, with all its numbers, that shows a fault. */
import type { Nested } from "./interpreter/nested.ts";
import { shapeOf } from "./interpreter/nested.ts";
import { type Inputs, type Realized } from "./data.ts";
import { literal, modelText, objectiveText, treeText } from "./source.ts";

/** Samples as the text of a tensor. */
export function tensorText(samples: readonly Nested[], dtype: string): string {
  return dtype === "float32"
    ? `cf.tensor(${literal(samples)})`
    : `cf.tensor(${literal(samples)}, { dtype: "${dtype}" })`;
}

/** What the model is given, as text. */
export function inputText({ one }: Realized, inputs: Inputs): string {
  return treeText(one.inputTree, (place) => tensorText(inputs[place], one.inputs[place].dtype));
}

/** Targets and weights, as text. */
function dataText({ one, targets, sampleWeights }: Realized): string {
  const y = treeText(
    one.outputTree,
    (place) =>
      tensorText(
        targets[place],
        one.heads[place].loss.type === "sparseCategoricalCrossentropy" ? "int32" : "float32",
      ),
  );
  const weighted = sampleWeights.some((weights) => weights !== undefined);
  const sampleWeight = weighted
    ? `,\n  sampleWeight: ${
      treeText(one.outputTree, (place) => tensorText(sampleWeights[place]!, "float32"))
    }` // all or none
    : "";
  return `const data = { x, y: ${y}${sampleWeight} };`;
}

/** The lines that make `model`, `x` and `variables`. */
export function modelLines(realized: Realized): string[] {
  const { one, weights, inputs } = realized;
  const spec = treeText(one.inputTree, (place) => {
    const { shape, dtype, time } = one.inputs[place];
    const open = shape.map((size, axis) => axis === 0 && time > 0 && !one.fixedTime ? null : size);
    return `cf.spec(${literal([one.statefulBatch, ...open])}, "${dtype}")`;
  });
  const texts = weights.map(({ path, values, shape }) =>
    `  ${JSON.stringify(path)}: ${
      shape.length === 0
        ? `cf.tensor(${literal(values)})`
        : tensorText(values as readonly Nested[], "float32")
    },` // it has an axis
  );
  return [
    modelText(one.model),
    `const x = ${inputText(realized, inputs)};`,
    `const variables = cf.setWeights(cf.init(model, cf.key(0), ${spec}), {`,
    ...texts,
    `});`,
  ];
}

/** The lines that make `data` and `objective`. */
export function objectiveLines(realized: Realized): string[] {
  return [dataText(realized), `const objective = {\n  ${objectiveText(realized.one)},\n};`];
}

/** A whole program: it prints what is expected and what it got, and ends with 1 where they differ. */
export function program(realized: Realized, lines: readonly string[]): string {
  return [
    `// Seed ${realized.one.seed}.`,
    `import * as cf from "@cellfold/cellfold";`,
    ...modelLines(realized),
    ...lines,
    `const near = (a, b, tolerance) => Object.is(a, b) || Math.abs(a - b) <= tolerance;`,
    `console.log("expected:", expected);`,
    `console.log("got:     ", got);`,
    `Deno.exit(expected.every((value, i) => near(value, got[i], tolerance)) ? 0 : 1);`,
    "",
  ].join("\n");
}

/** Where, in the flat list of a tensor of samples, numbers lie that count. */
export function flatPlaces(places: readonly string[], samples: readonly Nested[]): number[] {
  const shape = shapeOf(samples as Nested);
  return places.map((place) => {
    const index: number[] = JSON.parse(place);
    return index.reduce((offset, i, axis) => offset * shape[axis] + i, 0);
  });
}
