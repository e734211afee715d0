/** More steps that do not count, at the end or at the start, change nothing. */
import { type Inputs, interpret, libraryInput, type Realized } from "../data.ts";
import type { InputDescription } from "../description.ts";
import { fill, list, type Nested, shapeOf } from "../interpreter/nested.ts";
import { flatPlaces, inputText, program } from "../program.ts";
import { type Random, randomFrom } from "../random.ts";
import { comparePrediction } from "./predictions.ts";
import { type Context, counted, exactOutputs, Fault, firstApart, predicted, Skipped } from "./context.ts";

/** A step that does not count. */
function paddingStep(random: Random, { padding, shape, time }: InputDescription): Nested {
  return fill(shape.slice(1), () => {
    switch (padding.kind) {
      case "token":
      case "mask":
        return 0;
      case "value":
        return padding.value;
      case "wild":
        // Where only the first axis has a mask, or both, the whole step does not count.
        return random.pick([NaN, Infinity, -Infinity, 1.5]);
      default:
        return time > 0 ? random.whole(0, 1) : 0;
    }
  });
}

/** All inputs with more steps. */
export function padded({ one }: Realized, inputs: Inputs, extra: number, atStart: boolean): Inputs {
  return one.inputs.map((input, place) => {
    if (input.time === 0) return inputs[place];
    const random = randomFrom(one.seed).fork(`padding ${input.name}`);
    return inputs[place].map((sample) => {
      const more = Array.from({ length: extra }, () => paddingStep(random, input));
      return atStart ? [...more, ...list(sample)] : [...list(sample), ...more];
    });
  });
}

/** Whether the interpreter gives the same with more padding, and which heads become longer by it. */
export function effectOfPadding(
  realized: Realized,
): { readonly none: boolean; readonly longer: readonly boolean[] } {
  const { one, inputs, weights } = realized;
  const run = (inputs: Inputs) => interpret(realized, inputs, weights, { training: false }).batches.flat();
  const [before, after] = [run(inputs), run(padded(realized, inputs, 1, false))];
  const longer = one.heads.map((_, place) => shapeOf(before[0][place].x)[0] < shapeOf(after[0][place].x)[0]);
  const none = one.heads.every((_, place) => {
    const values = [before, after].map((outputs) => {
      const now = outputs.map((leaves) =>
        longer[place] ? list(leaves[place].x).slice(0, -1) : leaves[place].x
      );
      return counted(
        before.map((leaves) => leaves[place]),
        outputs === before ? before.map((l) => l[place].x) : now,
      ).values;
    });
    return values[0].every((value, i) => Object.is(value, values[1][i]));
  });
  return { none, longer };
}

/** Throws unless the outputs with padding are those without. */
export async function padding(context: Context): Promise<void> {
  const { realized } = context;
  const { one, inputs } = realized;
  if (!one.paddable) throw new Skipped("some output depends on steps that are no padding");
  if (!effectOfPadding(realized).none) throw new Error("the interpreter gives other numbers with padding");
  const random = randomFrom(one.seed).fork("padding");
  const extra = random.whole(1, 2);
  const atStart = random.chance(0.4);
  const more = padded(realized, inputs, extra, atStart);
  const { outputs, exact, tolerances } = exactOutputs(context);
  const got = await predicted(context, libraryInput(realized, more));
  one.heads.forEach((_, place) => {
    const shift = (sample: Nested): Nested => {
      const steps = list(sample);
      // Only sequences have become longer.
      if (steps.length !== list(outputs[place][0].x).length + extra || !one.timed[place]) return sample;
      return atStart ? steps.slice(extra) : steps.slice(0, steps.length - extra);
    };
    const shifted = got[place].map(shift);
    const { values, places } = exact[place];
    const apart = firstApart(counted(outputs[place], shifted).values, values, tolerances[place]);
    if (apart === undefined) return;
    const offset = (text: string) => {
      const index: number[] = JSON.parse(text);
      if (one.timed[place] && atStart) index[1] += extra;
      return JSON.stringify(index);
    };
    throw new Fault(
      `with ${extra} more steps of padding at the ${atStart ? "start" : "end"} output ${place} at ${
        places[apart]
      } is not ${values[apart]} ± ${tolerances[place][apart]}`,
      program(realized, [
        `const padded = ${inputText(realized, more)};`,
        ...comparePrediction(
          realized,
          place,
          flatPlaces(places.map(offset), got[place]),
          values,
          tolerances[place][apart],
          undefined,
          "padded",
        ),
      ]),
    );
  });
}
