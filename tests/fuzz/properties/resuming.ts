/** Two runs of `fit` are one: order and dropout are counted on, and what a run gives is all that the next needs. */
import * as cf from "@cellfold/cellfold";
import { libraryData } from "../data.ts";
import { objectiveLines, program } from "../program.ts";
import { randomFrom } from "../random.ts";
import { type Context, Fault } from "./context.ts";

/** Throws unless a run that is cut in two gives the weights of one. */
export async function resuming(context: Context): Promise<void> {
  const { realized, device } = context;
  const { one, model, variables, objective } = realized;
  const random = randomFrom(one.seed).fork("resuming");
  const batchSize = one.statefulBatch ?? random.whole(1, one.samples);
  const optimizer = random.pick(["sgd", "adam", "rmsprop"] as const);
  const [first, second] = [random.whole(1, 2), 1];
  const data = libraryData(realized);
  using trainer = cf.createTrainer(model, { ...objective, optimizer, device: device as cf.Device });
  const options = { batchSize, report: "none" } as const;
  const whole = await cf.fitWith(trainer, variables, data, { ...options, epochs: first + second });
  const half = await cf.fitWith(trainer, variables, data, { ...options, epochs: first });
  const rest = await cf.fitWith(trainer, half.variables, data, {
    ...options,
    epochs: second,
    optimizerState: half.optimizerState,
  });
  const [expected, got] = [whole, rest].map(({ variables }) =>
    cf.getWeights(variables).flatMap(({ tensor }) => [...cf.host(tensor).data])
  );
  if (expected.every((value, i) => Object.is(value, got[i]))) return;
  throw new Fault(
    `a run of ${first} and one of ${second} epochs end in other weights than a run of ${first + second}`,
    program(realized, [
      ...objectiveLines(realized),
      `const options = { ...objective, optimizer: "${optimizer}", batchSize: ${batchSize}, report: "none" };`,
      `const whole = await cf.fit(model, variables, data, { ...options, epochs: ${first + second} });`,
      `const half = await cf.fit(model, variables, data, { ...options, epochs: ${first} });`,
      `const rest = await cf.fit(model, half.variables, data, {`,
      `  ...options,`,
      `  epochs: ${second},`,
      `  optimizerState: half.optimizerState,`,
      `});`,
      `const [expected, got] = [whole, rest].map(({ variables }) =>`,
      `  cf.getWeights(variables).flatMap(({ tensor }) => [...cf.host(tensor).data])`,
      `);`,
      `const tolerance = 0;`,
    ]),
  );
}
