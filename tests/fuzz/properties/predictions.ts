/** What `predict` gives is what the interpreter gives, at every place that counts. */
import { flatPlaces, program } from "../program.ts";
import { libraryInput, placesOf, type Realized } from "../data.ts";
import { type Context, counted, exactOutputs, Fault, firstApart, predicted } from "./context.ts";
import type { Nested } from "../interpreter/nested.ts";
import { literal } from "../source.ts";

/** Lines of a program that compare a head's predictions with what is expected. */
export function comparePrediction(
  { one }: Realized,
  place: number,
  at: readonly number[],
  expected: readonly number[],
  tolerance: number,
  options = one.statefulBatch ? `, { batchSize: ${one.statefulBatch} }` : "",
  x = "x",
): string[] {
  const leaf = placesOf(one.outputTree).indexOf(place);
  return [
    `const output = await cf.predict(model, variables, ${x}${options});`,
    `const values = cf.treeLeaves(output)[${leaf}].data;`,
    `const got = ${literal(at)}.map((place) => values[place]);`,
    `const expected = ${literal(expected)};`,
    `const tolerance = ${tolerance};`,
  ];
}

/** Throws unless the predictions are near the interpreter's. */
export async function predictions(context: Context): Promise<void> {
  const { realized } = context;
  const { outputs, exact, tolerances } = exactOutputs(context);
  const got = await predicted(context, libraryInput(realized, realized.inputs));
  outputs.forEach((values, place) => {
    comparedHead(
      realized,
      place,
      counted(values, got[place]).values,
      exact[place],
      tolerances[place],
      got[place],
    );
  });
}

function comparedHead(
  realized: Realized,
  place: number,
  got: readonly number[],
  { values, places }: { readonly values: readonly number[]; readonly places: readonly string[] },
  tolerance: readonly number[],
  samples: readonly Nested[],
): void {
  const apart = firstApart(got, values, tolerance);
  if (apart === undefined) return;
  throw new Fault(
    `output ${place} at ${places[apart]} is ${got[apart]}, expected ${values[apart]} ± ${tolerance[apart]}`,
    program(
      realized,
      comparePrediction(realized, place, flatPlaces(places, samples), values, tolerance[apart]),
    ),
  );
}
