/** Lets the model write: steps of the pen go in, what it says of the next one is drawn from, and that step goes in. */
import * as cf from "@cellfold/cellfold";
import { COMPONENTS, mixtureOf, model, type NextStep, type PenTree } from "./handwriting.ts";
import type { PenStep } from "./ink.ts";

/** A Gaussian of a mixture. */
export interface Component {
  /** The probabilities of all components add up to 1. */
  readonly weight: number;
  readonly mean: readonly [x: number, y: number];
  readonly deviation: readonly [x: number, y: number];
  readonly correlation: number;
}

/** A step that the model made, and what it was drawn from. */
export interface Drawn extends PenStep {
  readonly mixture: readonly Component[];
  /** The probability that the pen draws. */
  readonly down: number;
  /** What the model's step took; of the first one, reading what is there. */
  readonly milliseconds: number;
}

/** What comes before the first step. */
export const START: PenStep = { location: [0, 0], pressure: 0 };

/** How the model writes. */
export interface WritingOptions {
  readonly device: cf.Device;
  /** How many steps at most. */
  readonly steps: number;
  /** How much neater than the data: 0 draws from the model, more narrows every Gaussian (equations 61 and 62). */
  readonly bias: number;
  readonly seed: number;
}

/** Sequences of steps, all of one length, as the input of the model: `[sequences, steps, 1]` each. */
export function inputOf(sequences: readonly (readonly PenStep[])[]): PenTree<cf.HostTensor> {
  const shape = [sequences.length, sequences[0].length, 1];
  const all = (value: (step: PenStep) => number) =>
    cf.tensor(sequences.flatMap((steps) => steps.map(value)), { shape });
  return {
    location: [all(({ location: [dx] }) => dx), all(({ location: [, dy] }) => dy)],
    pressure: all(({ pressure }) => pressure),
  };
}

/** The mixture that the last step of an output says, sharpened by a bias. */
function componentsOf({ location }: NextStep<cf.HostTensor>, bias: number): readonly Component[] {
  const last = cf.tensor(location.data.slice(-6 * COMPONENTS), { shape: [6 * COMPONENTS] });
  const { logits, meanX, meanY, deviationX, deviationY, correlation } = cf.mapTree(mixtureOf(last), cf.host);
  const weights = cf.host(cf.softmax(cf.mul(logits, 1 + bias)));
  const narrow = Math.exp(-bias);
  return Array.from(weights.data, (weight, i): Component => ({
    weight,
    mean: [meanX.data[i], meanY.data[i]],
    deviation: [narrow * deviationX.data[i], narrow * deviationY.data[i]],
    correlation: correlation.data[i],
  }));
}

type Pair = readonly [first: number, second: number];

/** Draws a step by two uniform and two normal numbers. */
function draw(mixture: readonly Component[], down: number, [u, v]: Pair, [n, m]: Pair): PenStep {
  let left = u;
  const chosen = mixture.find(({ weight }) => (left -= weight) < 0) ?? mixture[mixture.length - 1];
  const { mean: [x, y], deviation: [dx, dy], correlation: r } = chosen;
  return { location: [x + dx * n, y + dy * (r * n + Math.sqrt(1 - r * r) * m)], pressure: v < down ? 1 : 0 };
}

/** Goes on with what was written, step by step; ends after `steps`, or when the caller stops asking. */
export async function* writeOn(
  variables: cf.Variables,
  written: readonly PenStep[],
  { device, steps, bias, seed }: WritingOptions,
): AsyncGenerator<Drawn> {
  const part = cf.spec([1, null, 1]);
  const input = { location: [part, part], pressure: part };
  using stream = cf.streaming(model, variables, { input, device });
  const [choice, place] = cf.splitKey(cf.key(seed), 2);
  const uniform = cf.host(cf.uniform(choice, [steps, 2])).data;
  const normal = cf.host(cf.normal(place, [steps, 2])).data;
  let began = performance.now();
  let output = await stream.push(inputOf([[START, ...written]]));
  for (let step = 0; step < steps; step++) {
    const milliseconds = performance.now() - began;
    const mixture = componentsOf(output, bias);
    const down = 1 / (1 + Math.exp(-(1 + bias) * output.pressure.data[output.pressure.data.length - 1]));
    const two = (from: ArrayLike<number>): Pair => [from[2 * step], from[2 * step + 1]];
    const drawn = draw(mixture, down, two(uniform), two(normal));
    yield { ...drawn, mixture, down, milliseconds };
    began = performance.now();
    output = await stream.push(inputOf([[drawn]]));
  }
}
