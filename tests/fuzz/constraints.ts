/** Constraints of random models: which weights get some, and what these are after an update. */
import type { LayerDescription } from "./description.ts";
import { at, fill, flat, type Nested, rounded, shapeOf, sum } from "./interpreter/nested.ts";
import type { Random } from "./random.ts";
import { rulesOf, weightsOf, withOptions } from "./weight_rules.ts";

/** A constraint as it is drawn: all of its options, or a name. */
type Drawn = "nonNeg" | "unitNorm" | "maxNorm" | {
  readonly name: "unitNorm" | "maxNorm" | "minMaxNorm";
  readonly axis?: number;
  readonly minValue?: number;
  readonly maxValue?: number;
  readonly rate?: number;
};

function draw(random: Random): Drawn {
  const axis = random.chance(0.3) ? { axis: -1 } : {};
  switch (random.whole(0, 4)) {
    case 0:
      return random.pick(["unitNorm", "maxNorm"]);
    case 1:
      return { name: "unitNorm", ...axis };
    case 2:
      return { name: "maxNorm", maxValue: 0.75, ...axis };
    case 3:
      return { name: "minMaxNorm", minValue: 0.25, maxValue: 0.5, rate: random.pick([1, 0.5]), ...axis };
    default:
      return "nonNeg";
  }
}

/** The description with constraints of weights here and there. */
export function withConstraints(description: LayerDescription, random: Random): LayerDescription {
  if (random.chance(0.7)) return description;
  return withOptions(description, (type) =>
    Object.fromEntries(
      Object.keys(weightsOf[type] ?? {}).filter(() => random.chance(0.25)).map((
        name,
      ) => [`${name}Constraint`, draw(random)]),
    ));
}

/** The constraints by the paths of weights. */
export const constraintsOf = (model: LayerDescription) => rulesOf(model, "Constraint");

/** The description without its constraints. */
export function unconstrained(description: LayerDescription): LayerDescription {
  return JSON.parse(
    JSON.stringify(description, (key, value) => key.endsWith("Constraint") ? undefined : value),
  );
}

/** What a constraint makes of a weight. */
export function constrainedBy(constraint: unknown, x: Nested): Nested {
  const given = constraint as Drawn; // as drawn
  const { name, axis = 0, minValue, maxValue, rate = 1 } = typeof given === "string"
    ? { name: given } as Exclude<Drawn, string> | { readonly name: "nonNeg" } & Record<string, undefined>
    : given;
  const shape = shapeOf(x);
  if (name === "nonNeg") return fill(shape, (index) => Math.max(0, at(x, index)));
  const along = axis < 0 ? axis + shape.length : axis;
  const normAt = (index: readonly number[]) =>
    rounded(
      Math.sqrt(
        sum(Array.from({ length: shape[along] }, (_, i) => rounded(at(x, index.with(along, i)) ** 2))),
      ),
    );
  const [low, high] = name === "unitNorm"
    ? [1, 1]
    : [minValue ?? 0, maxValue ?? (name === "maxNorm" ? 2 : 1)];
  return fill(shape, (index) => {
    const norm = normAt(index);
    const wanted = rounded(rate * Math.min(Math.max(norm, low), high) + (1 - rate) * norm);
    return rounded(at(x, index) * rounded(wanted / rounded(norm + 1e-7)));
  });
}

/** The numbers of a weight after its constraint. */
export const constrainedNumbers = (constraint: unknown, x: Nested): number[] =>
  flat(constrainedBy(constraint, x));
