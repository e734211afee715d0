/** Cases of losses and metrics alone. */
import { resolveActivation } from "../../src/operations/activations.ts";
import type { ActivationLike } from "../../src/operations/activations.ts";
import { crf } from "../../src/layers/crf.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { computeLoss } from "../../src/training/compute_loss.ts";
import type { MetricState } from "../../src/training/metrics.ts";
import { compile } from "../../src/transforms/compile.ts";
import type { Device } from "../../src/transforms/devices.ts";
import { compareNumber, type Finding, miss, OUTPUT_TOLERANCE } from "./compare.ts";
import { isObject, isOracleTensor, type OracleCase, stepsOf, tensorsIn, tensorsOf } from "./format.ts";
import type { Forward } from "./forward.ts";
import { camelCase, type Named } from "./names.ts";
import { lossOf, metricOf } from "./objectives.ts";

/** `loss:Huber` without the part before the colon. */
function className({ layer }: OracleCase): string {
  return layer.slice(layer.indexOf(":") + 1);
}

/**
 * A loss; where an activation precedes it, what is given as its prediction are the logits, and for a conditional random
 * field the input of its layer.
 */
export function lossCall(oracleCase: OracleCase): Forward {
  const { preceded_by_activation: before, ...config } = oracleCase.config;
  const loss = lossOf({ class_name: className(oracleCase), config });
  const name = typeof before === "string" ? camelCase(before) : undefined;
  const activate = resolveActivation(name as ActivationLike); // an unknown name is refused
  const chain = crf();
  return ({ y_true, y_pred, sample_weight, mask, ...params }) => {
    const output = loss.type === "crf"
      ? chain.apply({ params, state: [] }, y_pred, { training: true, mask }).output
      : activate(y_pred);
    return { loss: computeLoss(loss, y_true, output, { sampleWeight: sample_weight, mask }) };
  };
}

/** A metric: its result after each update and reset. */
export async function runMetric(oracleCase: OracleCase, device: Device): Promise<Finding[]> {
  const metric = metricOf({ class_name: className(oracleCase), config: oracleCase.config });
  const update = (
    state: MetricState,
    { y_true, y_pred, values, sample_weight, mask }: Named,
  ): MetricState => {
    const prediction: Tensor = y_pred ?? values;
    return metric.update(state, y_true ?? values, prediction, { sampleWeight: sample_weight, mask });
  };
  using compiled = compile(update, { device });
  const findings: Finding[] = [];
  let state = metric.initState();
  for (const [index, step] of stepsOf(oracleCase).entries()) {
    const what = `steps[${index}] result`;
    if (step.op === "update_state") {
      state = await compiled(state, tensorsOf(tensorsIn(step, "inputs", oracleCase.place)));
    } else if (step.op === "reset_state") state = metric.initState();
    else throw new Error(`steps[${index}] has the unknown op ${JSON.stringify(step.op)}`);
    const expected = isObject(step.outputs) ? step.outputs.result : undefined;
    if (expected === undefined) continue;
    if (!isOracleTensor(expected) || expected.data.length !== 1) findings.push(miss(what, "it is no scalar"));
    else findings.push(compareNumber(what, metric.result(state), expected.data[0], OUTPUT_TOLERANCE));
  }
  return findings;
}
