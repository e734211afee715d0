/** Batches of any size, and samples in any order, give the same predictions, losses and metrics. */
import * as cf from "@cellfold/cellfold";
import { libraryData, libraryInput } from "../data.ts";
import { flatPlaces, inputText, objectiveLines, program } from "../program.ts";
import { randomFrom } from "../random.ts";
import { literal } from "../source.ts";
import { comparePrediction } from "./predictions.ts";
import { type Context, counted, exactOutputs, Fault, firstApart, predicted } from "./context.ts";
import { expectedLogs } from "./evaluations.ts";
import { Skipped } from "../skipped.ts";

/** Throws unless `predict` in batches of another size gives what the interpreter gives. */
export async function batchSizes(context: Context): Promise<void> {
  const { realized } = context;
  const { one } = realized;
  if (one.statefulBatch !== null) throw new Skipped("a stateful model has one size of batches");
  if (one.samples < 2) throw new Skipped("one sample");
  const batchSize = randomFrom(one.seed).fork("batches").whole(1, one.samples - 1);
  const { outputs, exact, tolerances } = exactOutputs(context);
  const got = await predicted(context, libraryInput(realized, realized.inputs), batchSize);
  one.heads.forEach((_, place) => {
    const { values, places } = exact[place];
    const apart = firstApart(counted(outputs[place], got[place]).values, values, tolerances[place]);
    if (apart === undefined) return;
    throw new Fault(
      `in batches of ${batchSize} output ${place} at ${places[apart]} is not ${values[apart]}`,
      program(
        realized,
        comparePrediction(
          realized,
          place,
          flatPlaces(places, got[place]),
          values,
          tolerances[place][apart],
          `, { batchSize: ${batchSize} }`,
        ),
      ),
    );
  });
  if (one.heads.some(({ loss }) => loss.options.reduction === "sum")) return;
  const { names, expected, tolerance } = expectedLogs(realized);
  const logs = await cf.evaluateWith(context.trainer, realized.variables, libraryData(realized), {
    batchSize,
  });
  const apart = firstApart(names.map((name) => logs[name]), expected, tolerance);
  if (apart === undefined) return;
  throw new Fault(
    `in batches of ${batchSize} ${names[apart]} is ${logs[names[apart]]}, expected ${expected[apart]}`,
    program(realized, [
      ...objectiveLines(realized),
      `const logs = await cf.evaluate(model, variables, data, { ...objective, batchSize: ${batchSize} });`,
      `const got = [logs[${JSON.stringify(names[apart])}]];`,
      `const expected = ${literal([expected[apart]])};`,
      `const tolerance = ${tolerance[apart]};`,
    ]),
  );
}

/** Throws unless samples in another order give the same, in that order. */
export async function order(context: Context): Promise<void> {
  const { realized } = context;
  const { one, inputs } = realized;
  if (one.statefulBatch !== null) throw new Skipped("the rows of a stateful model go on from batch to batch");
  if (one.samples < 2) throw new Skipped("one sample");
  const rows = inputs[0].map((_, sample) => sample).reverse();
  const reversed = inputs.map((samples) => rows.map((row) => samples[row]));
  const { outputs, exact, tolerances } = exactOutputs(context);
  const got = await predicted(context, libraryInput(realized, reversed));
  one.heads.forEach((_, place) => {
    const back = rows.map((row) => got[place][row]);
    const { values, places } = exact[place];
    const apart = firstApart(counted(outputs[place], back).values, values, tolerances[place]);
    if (apart === undefined) return;
    const there = places.map((text) => {
      const [sample, ...index]: number[] = JSON.parse(text);
      return JSON.stringify([rows.indexOf(sample), ...index]);
    });
    throw new Fault(
      `in another order output ${place} at ${places[apart]} is not ${values[apart]}`,
      program(realized, [
        `const reversed = ${inputText(realized, reversed)};`,
        ...comparePrediction(
          realized,
          place,
          flatPlaces(there, got[place]),
          values,
          tolerances[place][apart],
          "",
          "reversed",
        ),
      ]),
    );
  });
  const { names, expected, tolerance } = expectedLogs(realized);
  const logs = await cf.evaluateWith(context.trainer, realized.variables, libraryData(realized, rows));
  const apart = firstApart(names.map((name) => logs[name]), expected, tolerance);
  if (apart !== undefined) {
    throw new Error(`in another order ${names[apart]} is ${logs[names[apart]]}, expected ${expected[apart]}`);
  }
}
