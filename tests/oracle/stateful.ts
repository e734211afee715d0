/**
 * Cases of a stateful layer: calls and resets in order. All calls are one compiled function, so that the gradient is
 * that of the sum over the calls, and shows that none flows from a call to the one before.
 */
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { resetStates } from "../../src/layers/stateful.ts";
import { add } from "../../src/operations/elementwise.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { compile } from "../../src/transforms/compile.ts";
import type { Device } from "../../src/transforms/devices.ts";
import { valueAndGrad } from "../../src/transforms/grad.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { inputOf, namedOutputs, objectOf, variablesLike, variablesOf } from "./calls.ts";
import { compareTensors, type Finding, GRADIENT_TOLERANCE, OUTPUT_TOLERANCE } from "./compare.ts";
import {
  isObject,
  type JsonObject,
  type OracleCase,
  type OracleTensors,
  stepsOf,
  tensorsIn,
  tensorsOf,
} from "./format.ts";
import { weightedSum } from "./forward.ts";
import { flatNames, layerOf, outputNames, stateNames, stateOf } from "./layers.ts";
import type { KerasObject, Named } from "./names.ts";

/** The tensors of a step's input: each is given by the name under which the case has it. */
function stepInput(step: JsonObject, tensors: Named): Named {
  const inputs = isObject(step.inputs) ? step.inputs : {};
  return Object.fromEntries(
    Object.entries(inputs).map(([name, from]) => {
      const found = typeof from === "string" ? tensors[from] : undefined;
      if (!found) throw new Error(`the case has no input ${JSON.stringify(from)}`);
      return [name, found];
    }),
  );
}

/** What the steps gave, one entry per step. */
interface Run {
  readonly outputs: readonly Named[];
  readonly states: readonly Named[];
}

/** The layer of a case, with variables made before anything is traced. */
interface Prepared {
  readonly object: KerasObject;
  readonly layer: Layer;
  readonly like: Variables;
  /** Specs of the first call's input. */
  readonly input: Tree<Tensor>;
}

function prepare(object: KerasObject, tensors: Named): Prepared {
  const layer = layerOf(object);
  const input = inputOf(object, tensors);
  return { object, layer, like: variablesLike(layer, input), input };
}

/** Runs all steps: a pure function of the case's tensors. */
function runSteps(
  steps: readonly JsonObject[],
  { object, layer, like, input }: Prepared,
  tensors: Named,
): Run {
  const names = outputNames(object);
  const ofState = flatNames(stateNames(object, "state_"));
  const outputs: Named[] = [];
  const states: Named[] = [];
  let variables = variablesOf(like, tensors);
  for (const [index, step] of steps.entries()) {
    if (step.op === "call") {
      const given = stepInput(step, tensors);
      const applied = layer.apply(variables, inputOf(object, given), { training: false, mask: given.mask });
      variables = { ...variables, state: applied.state };
      outputs.push(namedOutputs(names, applied.output));
    } else if (/^reset_states?$/.test(String(step.op))) {
      variables = { ...variables, state: resetStates(layer, variables, input) };
      outputs.push({});
    } else throw new Error(`steps[${index}] has the unknown op ${JSON.stringify(step.op)}`);
    states.push(namedOutputs(ofState, variables.state));
  }
  return { outputs, states };
}

/** Runs a stateful case, and where it has `reuse`, the second layer that begins with the first one's state. */
export async function runStateful(oracleCase: OracleCase, device: Device): Promise<Finding[]> {
  const { fields, place } = oracleCase;
  const steps = stepsOf(oracleCase);
  const gradients = tensorsIn(fields, "grads", place);
  const given: Named = tensorsOf({
    ...tensorsIn(fields, "inputs", place),
    ...tensorsIn(fields, "weights", place),
  });
  const firstCall = steps.find(({ op }) => op === "call");
  if (!firstCall) throw new Error("it has no call among its steps");
  const prepared = prepare(objectOf(oracleCase), stepInput(firstCall, given));
  const isActive = ([name]: [string, Tensor]) => name in gradients;
  const active: Named = Object.fromEntries(Object.entries(given).filter(isActive));
  const rest: Named = Object.fromEntries(Object.entries(given).filter((entry) => !isActive(entry)));
  const cotangents = steps.map((step) => tensorsOf(tensorsIn(step, "cotangents", place)));
  const lossOfAll = (active: Named, rest: Named, cotangents: readonly Named[]): [Tensor, Run] => {
    const run = runSteps(steps, prepared, { ...active, ...rest });
    const losses = cotangents.flatMap((of, index) =>
      Object.keys(of).length > 0 ? [weightedSum(run.outputs[index], of)] : []
    );
    return [losses.reduce((total, loss) => add(total, loss)), run];
  };
  let [run, gradient]: [Run | undefined, Named] = [undefined, {}];
  if (Object.keys(gradients).length > 0) {
    using compiled = compile(valueAndGrad(lossOfAll), { device });
    const [[, ran], found] = await compiled(active, rest, cotangents);
    [run, gradient] = [ran, found];
  } else {
    using compiled = compile((tensors: Named) => runSteps(steps, prepared, tensors), { device });
    run = await compiled(given);
  }
  const findings = steps.flatMap((step, index) => [
    ...compareTensors(
      `steps[${index}] outputs`,
      run.outputs[index],
      tensorsIn(step, "outputs", place),
      OUTPUT_TOLERANCE,
    ),
    ...compareTensors(
      `steps[${index}] states_after`,
      run.states[index],
      tensorsIn(step, "states_after", place),
      OUTPUT_TOLERANCE,
    ),
  ]);
  findings.push(...compareTensors("grads", gradient, gradients, GRADIENT_TOLERANCE));
  if (isObject(fields.reuse)) findings.push(...await runReuse(oracleCase, fields.reuse, run, device));
  return findings;
}

/**
 * The state after some call as the initial state of a second layer. The file gives that state; it must be one that the
 * stateful layer had, and the layer's own values are what the second one begins with.
 */
async function runReuse(
  oracleCase: OracleCase,
  reuse: JsonObject,
  run: Run,
  device: Device,
): Promise<Finding[]> {
  const { place, layer: className } = oracleCase;
  const object: KerasObject = {
    className: typeof reuse.layer === "string" ? reuse.layer : className,
    config: isObject(reuse.config) ? reuse.config : oracleCase.config,
  };
  const given = tensorsOf({ ...tensorsIn(reuse, "inputs", place), ...tensorsIn(reuse, "weights", place) });
  const { layer, like } = prepare(object, given);
  const used = tensorsIn(reuse, "states_used", place);
  const had = run.states.find((state) => matches(state, used)) ?? run.states[run.states.length - 1];
  const forward = (tensors: Named, state: Named): Named => {
    const applied = layer.apply(variablesOf(like, tensors), inputOf(object, tensors), {
      training: false,
      mask: tensors.mask,
      initialState: stateOf(stateNames(object, "state_"), state),
    });
    return namedOutputs(outputNames(object), applied.output);
  };
  using compiled = compile(forward, { device });
  return [
    ...compareTensors("reuse states_used", had, used, OUTPUT_TOLERANCE),
    ...compareTensors(
      "reuse outputs",
      await compiled(given, had),
      tensorsIn(reuse, "outputs", place),
      OUTPUT_TOLERANCE,
    ),
  ];
}

function matches(state: Named, expected: OracleTensors): boolean {
  return compareTensors("state", state, expected, OUTPUT_TOLERANCE).every(({ passed }) => passed);
}
