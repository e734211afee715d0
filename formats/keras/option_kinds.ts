/**
 * The options of a class: those of its row, with the regularizer and the constraint of each weight that has an
 * initializer, and the regularizer of the output, which every layer has.
 */
import type { ClassRow } from "./class_row.ts";
import type { Kind } from "./values.ts";

/** The option of the output's regularizer, which cells do not have. */
export const ACTIVITY = "activity_regularizer";

/** The options that a class has, with those that say what training does to weights and outputs. */
export function optionKinds({ className, options, withoutCommon }: ClassRow): Readonly<Record<string, Kind>> {
  const weights = Object.keys(options).flatMap((option) =>
    option.startsWith("moving_") ? [] : option.match(/^\w+(?=_initializer$)/) ?? []
  );
  return {
    ...options,
    ...Object.fromEntries(weights.flatMap((weight) => [
      [`${weight}_regularizer`, "regularizer" as const],
      [`${weight}_constraint`, "constraint" as const],
    ])),
    ...(isCell(className) || withoutCommon ? {} : { [ACTIVITY]: "regularizer" }),
  };
}

/** Whether a class of Keras is a cell. */
export function isCell(className: string): boolean {
  return /Cells?$/.test(className);
}
