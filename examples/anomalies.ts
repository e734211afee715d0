/**
 * Anomaly detection on a stream: a GRU expects the next pressure of a pump; where it is surprised, something is wrong.
 *
 *     deno run examples/anomalies.ts
 *
 * Takes about 5 seconds on two cores, and prints which faults are found and how soon, false alarms, and microseconds
 * per sample. It learns from a sound pump alone. The limit is set on more of that; then samples come one at a time, and
 * `stream.step` computes at once, in the caller's arrays. The pressure is made up by a seeded generator, with four
 * kinds of faults that stay within the range of a sound pump, so that limits of the pressure find none. With
 * `--picture FILE` (and --allow-write=FILE) it draws a fault; `--small` takes 4 seconds.
 */
import * as cf from "@cellfold/cellfold";
import { alarmsOf, finds } from "./support/alarms.ts";
import { type ProgramOptions, programOptions, writePicture } from "./support/program.ts";
import { makePressure } from "./support/pump.ts";
import { claim } from "./support/section.ts";

/** The surprise is the mean of so many samples, weighted more the newer they are. */
const MEMORY = 6;
/** Follows a stream: gives the surprise at each sample, from `expect`, which says the next one. */
function surprises(values: Float32Array, expect: (value: number) => number): Float32Array {
  let [expected, surprise] = [values[0], 0];
  return values.map((value) => {
    surprise += (Math.abs(value - expected) - surprise) / MEMORY;
    expected = expect(value);
    return surprise;
  });
}

/** What was found. */
export interface Found {
  readonly faults: number;
  /** By the model. */
  readonly found: number;
  readonly falseAlarms: number;
  /** By limits of the pressure, those of a sound pump. */
  readonly foundByLimits: number;
}

/** Runs the program. */
export async function main(options: ProgramOptions = {}): Promise<Found> {
  const { small = false, log = console.log } = options;
  const sound = makePressure(small ? 8_000 : 40_000, { seed: 1 }).values;
  const quiet = makePressure(small ? 5_000 : 30_000, { seed: 2 }).values;
  const { values, faults } = makePressure(small ? 8_000 : 60_000, { seed: 3, faults: true });

  const model = cf.sequential([cf.gru({ units: 24, returnSequences: true }), cf.dense({ units: 1 })]);
  const cut = (from: number, length: number) =>
    cf.tensor(sound.slice(from, from + 100 * length), { shape: [length, 100, 1] });
  const rows = Math.floor((sound.length - 1) / 100);
  const { variables } = await cf.fit(model, cf.init(model, cf.key(0), cf.spec([null, null, 1])), {
    x: cut(0, rows),
    y: cut(1, rows), // each sample's successor
  }, {
    loss: "mse",
    optimizer: cf.adam({ learningRate: 0.01 }),
    batchSize: 16,
    epochs: small ? 15 : 60,
    report: options.log ? "none" : "auto",
  });

  using stream = cf.streaming(model, variables, { input: cf.spec([1, null, 1]), device: "wasm" });
  await stream.ready();
  const [from, to] = [new Float32Array(1), new Float32Array(1)];
  const expect = (value: number) => {
    from[0] = value;
    stream.step(from, to); // nothing to wait for
    return to[0];
  };
  const limit = 1.15 * Math.max(...surprises(quiet, expect).slice(100)); // it has to hear the pump first
  log(`an alarm is a mean surprise of more than ${limit.toFixed(3)}`);

  stream.reset();
  const begun = performance.now();
  const surprise = surprises(values, expect).fill(0, 0, 100);
  const microseconds = 1000 * (performance.now() - begun) / values.length;
  const alarms = alarmsOf(surprise, limit);
  for (const kind of new Set(faults.map(({ kind }) => kind))) {
    const these = faults.filter((fault) => fault.kind === kind);
    const delays = these.flatMap((fault) =>
      alarms.filter((alarm) => finds(alarm, fault)).map((at) => at - fault.from)
    );
    const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length / 50;
    log(`${kind}: ${delays.length} of ${these.length} found, after ${mean.toFixed(2)} s`);
  }
  const found = faults.filter((fault) => alarms.some((alarm) => finds(alarm, fault))).length;
  const falseAlarms = alarms.filter((alarm) => !faults.some((fault) => finds(alarm, fault))).length;
  const [low, high] = [Math.min(...quiet), Math.max(...quiet)];
  const foundByLimits =
    faults.filter(({ from, to }) => values.subarray(from, to).some((value) => value < low || value > high))
      .length;
  log(
    `${falseAlarms} false alarms in ${values.length / 50} s; ${
      microseconds.toFixed(1)
    } microseconds a sample`,
  );
  claim(
    log,
    found > foundByLimits,
    `${found} of ${faults.length} faults are found; limits of the pressure find ${foundByLimits}`,
  );

  await writePicture(options, ({ plotCurves }) => {
    const { kind, from } = faults[3]; // which the eye hardly sees
    const around = (list: Float32Array) => list.slice(from - 100, from + 200);
    return plotCurves([
      { name: "pressure", values: around(values) },
      { name: "surprise, 5 times", values: around(surprise).map((value) => 5 * value) },
      { name: "its limit", values: around(values).fill(5 * limit) },
    ], {
      title: `From sample 101 to 150: ${kind}`,
      xLabel: "samples, 50 a second",
      yLabel: "pressure",
    });
  });
  return { faults: faults.length, found, falseAlarms, foundByLimits };
}

if (import.meta.main) await main(programOptions(Deno.args));
