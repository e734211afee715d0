/**
 * The lowering rule of every operation that is not elementwise, not a view, and not known at compile time.
 */
import type { ElementwiseName } from "../../src/program/elementwise.ts";
import type { Dim } from "../../src/tensor/dims.ts";
import type { OperationName } from "../../src/program/types.ts";
import type { Kernel } from "./kernels.ts";
import { cumsumRules } from "./kinds/cumsum.ts";
import { convolveRules } from "./kinds/convolve.ts";
import { copyRules } from "./kinds/fused.ts";
import { indexingRules } from "./kinds/indexing.ts";
import { productRules } from "./kinds/product.ts";
import { randomRules } from "./kinds/random.ts";
import { reductionRules } from "./kinds/reduction.ts";
import type { Applied, Lowering, Rules } from "./kinds/rule.ts";
import { scanRules } from "./kinds/scan.ts";
import type { View } from "./views.ts";
import type { KnownName, ViewName } from "./view_operations.ts";

/** The operations that have rules. */
export type RuledName = Exclude<OperationName, ElementwiseName | ViewName | KnownName>;

const rules: Rules<RuledName, Kernel, Kernel> = {
  ...copyRules,
  ...reductionRules,
  ...cumsumRules,
  ...productRules,
  ...convolveRules,
  ...indexingRules,
  ...randomRules,
  ...scanRules,
};

/** The kernels of an equation that has a rule; they write its first output to `output`. */
export function lowerByRule<Name extends RuledName>(
  equation: Applied<Name>,
  output: View,
  lowering: Lowering<Kernel>,
): readonly Kernel[] {
  return rules[equation.operation.name].lower(equation, output, lowering);
}

/**
 * The buffer size for a number of elements, if the operation can only write a buffer of its own; else
 * undefined.
 */
export function ownElementsOf(name: OperationName): ((size: Dim) => Dim) | undefined {
  return name in rules ? rules[name as RuledName].ownElements : undefined; // as just checked
}
