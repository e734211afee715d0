/** The rule of lowering for every operation that is neither elementwise, nor a view, nor known while compiling. */
import type { ElementwiseName } from "../../src/program/elementwise.ts";
import type { OperationName } from "../../src/program/types.ts";
import type { Kernel } from "./kernels.ts";
import { cumsumRules } from "./kinds/cumsum.ts";
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
  ...indexingRules,
  ...randomRules,
  ...scanRules,
};

/** The kernels of an equation that has a rule, which write its first output to `output`. */
export function lowerByRule<Name extends RuledName>(
  equation: Applied<Name>,
  output: View,
  lowering: Lowering<Kernel>,
): readonly Kernel[] {
  return rules[equation.operation.name].lower(equation, output, lowering);
}

/** The elements of the buffer for so many, where the operation writes a buffer of its own and nowhere else. */
export function ownElementsOf(name: OperationName): ((size: number) => number) | undefined {
  return name in rules ? rules[name as RuledName].ownElements : undefined; // as was just seen
}
