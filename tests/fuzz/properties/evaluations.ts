/** Loss and metrics of `evaluate` are the interpreter's. */
import { interpret, libraryData, type Realized } from "../data.ts";
import { objectiveLines, program } from "../program.ts";
import { literal } from "../source.ts";
import { type Context, Fault, firstApart, toleranceOfLog } from "./context.ts";
import { exactLogs } from "./objective.ts";
import * as cf from "@cellfold/cellfold";
import { Skipped } from "../skipped.ts";

/** The logs of the interpreter, with how far the library's may be from them. */
export function expectedLogs(realized: Realized) {
  const { one, inputs, weights } = realized;
  const compute = () => exactLogs(realized, interpret(realized, inputs, weights, { training: false }));
  const exact = compute();
  const names = Object.keys(exact);
  const expected = names.map((name) => exact[name]);
  if (expected.some((value) => !(Math.abs(value) < 1e6))) {
    throw new Skipped("the numbers leave what float32 has");
  }
  const tolerance = names.map((name, i) => toleranceOfLog(one.seed, expected[i], () => compute()[name]));
  return { names, expected, tolerance };
}

/** Throws unless the logs are near those of the interpreter. */
export async function evaluations(context: Context): Promise<void> {
  const { realized, trainer } = context;
  const { one } = realized;
  const { names, expected, tolerance } = expectedLogs(realized);
  const batchSize = one.statefulBatch ?? one.samples;
  if (batchSize < one.samples && one.heads.some(({ loss }) => loss.options.reduction === "sum")) {
    throw new Skipped("a sum over batches has nothing to be divided by");
  }
  const logs = await cf.evaluateWith(trainer, realized.variables, libraryData(realized), { batchSize });
  const got = names.map((name) => logs[name]);
  const stray = Object.keys(logs).filter((name) => !names.includes(name));
  if (stray.length > 0) {
    throw new Error(`the logs have ${stray.join()}, which the interpreter does not expect`);
  }
  const apart = firstApart(got, expected, tolerance);
  if (apart === undefined) return;
  const name = names[apart];
  throw new Fault(
    `${name} is ${got[apart]}, expected ${expected[apart]} ± ${tolerance[apart]}`,
    program(realized, [
      ...objectiveLines(realized),
      `const logs = await cf.evaluate(model, variables, data, { ...objective, batchSize: ${batchSize} });`,
      `const got = [logs[${JSON.stringify(name)}]];`,
      `const expected = ${literal([expected[apart]])};`,
      `const tolerance = ${tolerance[apart]};`,
    ]),
  );
}
