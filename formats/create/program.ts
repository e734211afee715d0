/**
 * The program of a project as text: data, a model, training, predicting and a test. The same text is TypeScript and
 * JavaScript, as types follow from default values.
 */

/** How a file ends that has the program. */
export type Ending = "ts" | "js";

/** How a template trains into a file and predicts with it. */
export interface Dialect {
  readonly ending: Ending;
  /** The lines that import what writes a file, and what reads one; empty where that is global. */
  readonly imports: { readonly write: string; readonly read: string };
  readonly write: string;
  readonly read: string;
  /** What ends the process with status 1. */
  readonly exit: string;
  /** The commands of a user. */
  readonly commands: { readonly train: string; readonly predict: string };
}

/** The data. */
export const data = `/**
 * The data: waves of three shapes with noise, made up. Put your own here: \`x\` is a tensor [samples, steps, features],
 * and \`y\` has the number of each sample's class.
 */
import { host, hostTensor, key, uniform } from "@cellfold/cellfold";

/** The classes by name. */
export const SHAPES = ["sine", "square", "triangle"];

/** How many numbers a wave has. */
export const STEPS = 48;

/** The value of a wave, from -1 to 1, at a time in periods. */
function wave(shape = 0, time = 0) {
  const sine = Math.sin(2 * Math.PI * time);
  return [sine, Math.sign(sine), 2 / Math.PI * Math.asin(sine)][shape];
}

/** Waves of all shapes in turn; the same ones for the same seed. */
export function waves(count = 600, seed = 1) {
  const size = STEPS + 2;
  const random = host(uniform(key(seed), [count, size])).data; // from 0 to 1
  const x = new Float32Array(count * STEPS);
  const y = new Int32Array(count);
  for (let sample = 0; sample < count; sample++) {
    const first = sample * size;
    const [speed, start, ...noise] = random.subarray(first, first + size);
    const shape = sample % SHAPES.length;
    y[sample] = shape;
    for (let step = 0; step < STEPS; step++) {
      const time = start + (1 + 2 * speed) * step / STEPS;
      x[sample * STEPS + step] = wave(shape, time) + 0.4 * (noise[step] - 0.5);
    }
  }
  return { x: hostTensor(x, [count, STEPS, 1]), y: hostTensor(y, [count]) };
}
`;

/** The model and how it learns. */
export const model = (ending: Ending): string =>
  `/** The model: a GRU reads a wave step by step, a dense layer says how probable each shape is. */
import {
  accuracy,
  adam,
  dense,
  gru,
  sequential,
  sparseCategoricalCrossentropy,
  spec,
} from "@cellfold/cellfold";
import { SHAPES } from "./data.${ending}";

export const model = sequential([
  gru({ units: 24 }),
  dense({ units: SHAPES.length, activation: "softmax" }),
]);

/** Its input: any number of sequences of any length, with one number for each step. */
export const input = spec([null, null, 1]);

/** What it learns: the loss, and what is reported beside it. */
export const objective = {
  loss: sparseCategoricalCrossentropy(),
  metrics: [accuracy()],
};

/** How it learns. */
export const optimizer = adam({ learningRate: 0.01 });
`;

/** Training into a file. */
export const train = ({ ending, imports, write, commands }: Dialect): string =>
  `/** Trains the model, and writes it with its weights into model.safetensors. */
${imports.write}import { fit, init, key } from "@cellfold/cellfold";
import { saveCheckpoint } from "@cellfold/cellfold/safetensors";
import { waves } from "./data.${ending}";
import { input, model, objective, optimizer } from "./model.${ending}";

const initial = init(model, key(0), input);
const { variables } = await fit(model, initial, waves(600, 1), {
  ...objective,
  optimizer,
  epochs: 20,
  validation: waves(200, 2),
});
await ${write}("model.safetensors", saveCheckpoint({ model, variables }));
console.log("Wrote model.safetensors. Next: ${commands.predict}");
`;

/** Predicting with the file. */
export const predict = ({ ending, imports, read, exit, commands }: Dialect): string =>
  `/** Reads model.safetensors, and says of some waves what they are. */
${imports.read}import { predict } from "@cellfold/cellfold";
import { loadCheckpoint } from "@cellfold/cellfold/safetensors";
import { SHAPES, waves } from "./data.${ending}";
import { model } from "./model.${ending}";

const file = await ${read}("model.safetensors").catch(() => undefined);
if (file === undefined) {
  console.error("There is no model.safetensors yet; ${commands.train} makes it.");
  ${exit}
}
const { variables } = loadCheckpoint(file);
const { x, y } = waves(9, 3);
const { data } = await predict(model, variables, x);
for (const [sample, shape] of y.data.entries()) {
  const probabilities = SHAPES.map((name, index) =>
    \`\${name} \${Math.round(100 * data[sample * SHAPES.length + index])} %\`
  );
  console.log(\`a \${SHAPES[shape]} wave: \${probabilities.join(", ")}\`);
}
`;

/** The body of a test that trains for a while. */
const learns = `  const initial = init(model, key(0), input);
  const { variables } = await fit(model, initial, waves(600, 1), {
    ...objective,
    optimizer,
    epochs: 15,
    report: "none",
  });
  const unseen = waves(150, 2);
  const { accuracy } = await evaluate(model, variables, unseen, objective);
`;

/** How a template tests. */
export interface TestRunner {
  /** The lines that import it. */
  readonly imports: string;
  /** The first line of a test, by its name and whether it waits. */
  readonly begin: (name: string, isAsync: boolean) => string;
  /** Asserts that two values are equal. */
  readonly equal: (actual: string, expected: string) => string;
  /** Asserts that a number is above another. */
  readonly above: (actual: string, least: string) => string;
}

/** The tests of the data and of the model. */
export const test = (ending: Ending, { imports, begin, equal, above }: TestRunner): string =>
  `/** The data has the shapes that the model reads, and the model learns from it. */
${imports}import { evaluate, fit, init, key } from "@cellfold/cellfold";
import { SHAPES, STEPS, waves } from "./data.${ending}";
import { input, model, objective, optimizer } from "./model.${ending}";

${begin("waves come in all shapes, and are the same for the same seed", false)}
  const { x, y } = waves(6, 1);
  ${equal("x.shape", "[6, STEPS, 1]")}
  ${equal("[...y.data]", "[0, 1, 2, 0, 1, 2]")}
  ${equal("waves(6, 1).x.data", "x.data")}
});

${begin("the model learns to tell waves apart", true)}
${learns}  ${above("accuracy", "2 / SHAPES.length")} // by chance: 1 / SHAPES.length
});
`;
