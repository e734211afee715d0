/**
 * Handwriting with mixture density: an LSTM reads the way of a pen and continues it, step by step.
 *
 *     deno run examples/handwriting/main.ts
 *
 * Takes about 25 seconds on two cores, and prints the loss beside that of one normal distribution for all steps. A step
 * is nested, `{ location: [dx, dy], pressure }`; of the next location the model gives a density, a mixture of normal
 * distributions (Graves, "Generating sequences with recurrent neural networks", 2013), from which it is drawn. The
 * handwriting is made up by a seeded generator (strokes.ts). With `--picture FILE` (and --allow-write=FILE) it draws
 * lines that it has continued; `--small` takes 4 seconds.
 */
import * as cf from "@cellfold/cellfold";
import { type ProgramOptions, programOptions, randomFrom, writePicture } from "../support/program.ts";
import { claim } from "../support/section.ts";
import { drawStep, lossWithoutModel, mixtureDensity, PARTS, SCALE } from "./mixture.ts";
import { drawLines, makeLines, type PenStep } from "./strokes.ts";

const STEPS = 90;

/** Steps as the model reads them: how far, and whether the pen is lifted. */
function penOf(lines: readonly (readonly PenStep[])[]) {
  return {
    location: cf.tensor(lines.map((steps) => steps.map(({ dx, dy }) => [dx / SCALE, dy / SCALE]))),
    pressure: cf.tensor(lines.map((steps) => steps.map(({ up }) => [up]))),
  };
}

/** Runs the program; gives the loss of handwriting that was not seen, with the model and without. */
export async function main(options: ProgramOptions = {}): Promise<{ loss: number; without: number }> {
  const { small = false, log = console.log } = options;
  const location = cf.input([null, 2]);
  const pressure = cf.input([null, 1]);
  const states = cf.call(
    cf.lstm({ units: small ? 48 : 100, returnSequences: true }),
    cf.apply((location, pressure) => cf.concat([location, pressure]), location, pressure),
  );
  const model = cf.model({
    inputs: { location, pressure },
    outputs: {
      location: cf.call(cf.dense({ units: 6 * PARTS }), states),
      pressure: cf.call(cf.dense({ units: 1 }), states),
    },
  });
  const dataOf = (lines: readonly PenStep[][]) => ({
    x: penOf(lines.map((steps) => steps.slice(0, -1))),
    y: penOf(lines.map((steps) => steps.slice(1))),
  });
  const [seen, unseen] = [makeLines(small ? 300 : 1200, STEPS, 1), makeLines(100, STEPS, 2)];
  const { variables, history } = await cf.fit(
    model,
    cf.init(model, cf.key(0), dataOf(unseen).x),
    dataOf(seen),
    {
      loss: { location: mixtureDensity, pressure: cf.binaryCrossentropy({ fromLogits: true }) },
      optimizer: cf.adam({ learningRate: 0.01 }),
      epochs: small ? 8 : 12,
      validation: dataOf(unseen),
      report: options.log ? "none" : "auto",
    },
  );
  const without = lossWithoutModel(unseen.flatMap((steps) => steps.slice(1)));
  const loss = history.val_loss.at(-1) ?? NaN;
  log(
    `nats per step of unseen handwriting: ${loss.toFixed(2)}, with one normal distribution ${
      without.toFixed(2)
    }`,
  );
  claim(log, loss < without, "the model knows where the pen goes");

  const random = randomFrom(3);
  /** Goes on with a line for so many steps, each drawn from what the model says after the one before. */
  const continued = async (given: readonly PenStep[], steps: number) => {
    using stream = cf.streaming(model, variables);
    const written: PenStep[] = [];
    for (let last = given; written.length < steps; last = written.slice(-1)) {
      const { location, pressure } = await stream.push(penOf([last]));
      written.push(drawStep(cf.at(location, -1, { axis: 1 }), cf.at(pressure, -1, { axis: 1 }), random, 0.5));
    }
    return { given, written };
  };
  const lines: Awaited<ReturnType<typeof continued>>[] = [];
  for (const line of unseen.slice(0, small ? 1 : 6)) {
    lines.push(await continued(line.slice(0, 60), small ? 10 : 110));
  }
  await writePicture(options, () => drawLines(lines));
  return { loss, without };
}

if (import.meta.main) await main(programOptions(Deno.args));
