/** More steps that do not count, at the end or at the start, change nothing. */
import { type Inputs, interpret, libraryInput, type Realized } from "../data.ts";
import type { InputDescription } from "../description.ts";
import { fill, list, type Nested } from "../interpreter/nested.ts";
import { flatPlaces, inputText, program } from "../program.ts";
import { type Random, randomFrom } from "../random.ts";
import { Value } from "../interpreter/types.ts";
import { comparePrediction } from "./predictions.ts";
import { type Context, counted, exactOutputs, Fault, firstApart, predicted } from "./context.ts";
import { Skipped } from "../skipped.ts";

/** A step that does not count. */
function paddingStep(random: Random, { padding, shape, time, dtype }: InputDescription): Nested {
  return fill(shape.slice(1), () => {
    if (dtype !== "float32") return 0;
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

/** What counts in a head's outputs, sample by sample: padding adds nothing to it, wherever it lies. */
function effect(before: readonly Value[], after: readonly Value[]) {
  const longer = before.some(({ x }, sample) => list(x).length < list(after[sample].x).length);
  const [from, to] = [before, after].map((values) => counted(values, values.map(({ x }) => x)));
  // Without a mask every step counts, of which those before the padding are compared.
  const open = longer && after.every(({ counts }) => counts === undefined);
  return { longer, open, from, to };
}

/** Whether the interpreter gives the same with more padding at an end, and which heads become longer by it. */
export function effectOfPadding(
  realized: Realized,
  { extra = 1, atStart = false }: { readonly extra?: number; readonly atStart?: boolean } = {},
): { readonly none: boolean; readonly longer: readonly boolean[] } {
  const { one, inputs, weights } = realized;
  const run = (inputs: Inputs) => interpret(realized, inputs, weights, { training: false }).batches.flat();
  const [before, after] = [run(inputs), run(padded(realized, inputs, extra, atStart))];
  const effects = one.heads.map((_, place) =>
    effect(before.map((leaves) => leaves[place]), after.map((leaves) => leaves[place]))
  );
  return {
    none: effects.every(({ open, from, to }) => open || same(from.values, to.values)),
    longer: effects.map(({ longer }) => longer),
  };
}

const same = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((value, i) => Object.is(value, b[i]));

/** Throws unless the outputs with padding are those without. */
export async function padding(context: Context): Promise<void> {
  const { realized } = context;
  const { one, inputs, weights } = realized;
  if (!one.paddable) throw new Skipped("some output depends on steps that are no padding");
  // Two sequences of which one was reversed meet at other steps; a mask that values make says what is padding; and
  // with zeroOutputForMask a last step that is masked puts out zeros.
  const random = randomFrom(one.seed).fork("padding");
  const extra = random.whole(1, 2);
  const atStart = random.chance(0.4);
  if (!effectOfPadding(realized, { extra, atStart }).none) {
    throw new Skipped("padding makes other steps meet, count, or be the last");
  }
  const more = padded(realized, inputs, extra, atStart);
  const { outputs, exact, tolerances } = exactOutputs(context);
  const after = interpret(realized, more, weights, { training: false }).batches.flat();
  const got = await predicted(context, libraryInput(realized, more));
  one.heads.forEach((_, place) => {
    const head = after.map((leaves) => leaves[place]);
    const { open } = effect(outputs[place], head);
    // Where every step counts, the steps of the padding are left out by their number.
    const isOld = (step: number, steps: number) => atStart ? step >= extra : step < steps - extra;
    const kept = open
      ? head.map(({ x }) => new Value(x, list(x).map((_, step) => isOld(step, list(x).length))))
      : head;
    const { values: now, places } = counted(kept, got[place]);
    const { values } = exact[place];
    const apart = firstApart(now, values, tolerances[place]);
    if (apart === undefined && now.length === values.length) return;
    const at = apart ?? 0;
    throw new Fault(
      `with ${extra} more steps of padding at the ${atStart ? "start" : "end"} output ${place} at ${
        places[at]
      } is ${now[at]}, expected ${values[at]} ± ${tolerances[place][at]}`,
      program(realized, [
        `const padded = ${inputText(realized, more)};`,
        ...comparePrediction(
          realized,
          place,
          flatPlaces(places, got[place]),
          values,
          tolerances[place][at],
          undefined,
          "padded",
        ),
      ]),
    );
  });
}
