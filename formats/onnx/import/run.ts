/** `run` of an imported model: the graph as the file has it, with any order of axes, compiled for each kind of input. */
import { describeValue, isObject } from "../../../src/describe.ts";
import { checkVariables } from "../../../src/layers/checks.ts";
import type { Variables } from "../../../src/layers/layer.ts";
import { checkOptions } from "../../../src/option_names.ts";
import { lazyTrace, trace } from "../../../src/program/functions.ts";
import type { Bindings } from "../../../src/tensor/dims.ts";
import {
  checkTensor,
  type HostTensor,
  isTensor,
  type Spec,
  type Tensor,
} from "../../../src/tensor/tensor.ts";
import { checkDevice, type Device, DeviceLost, keyOfDevice } from "../../../src/transforms/devices.ts";
import { type Runner, runSource, runTrace } from "../../../src/transforms/runner.ts";
import { uploadTree } from "../../../src/transforms/uploads.ts";
import { mapTree, type Tree } from "../../../src/tree/tree.ts";
import type { GraphFunction, GraphVariables } from "./graph_function.ts";
import { checkInput } from "./inputs.ts";

/** Options of `run` of an {@linkcode OnnxModel}. */
export interface OnnxRunOptions {
  /** The device by name; default `auto`. */
  readonly device?: Device;
  /** The variables of the model, such as those that `fit` gave; default: the file's. They must not be written to. */
  readonly variables?: Variables;
}

/** Tensors by the names of a graph. */
export type OnnxTensors = { readonly [name: string]: HostTensor };

/** Runs a graph. */
export type OnnxRun = (
  inputs: { readonly [name: string]: Tensor },
  options?: OnnxRunOptions,
) => Promise<OnnxTensors>;

type Args = [params: Tree<Tensor>, state: Tree<Tensor>, given: readonly Tensor[]];

/** How many of these arguments are mostly those of the call before. */
const FIXED = 2;

/** What runs on a device. */
interface Runners {
  /** For all sizes that the file leaves open; undefined if the graph needs them as numbers. */
  open: Runner<Args, Tensor[]> | undefined;
  /** For each size. */
  readonly fixed: Runner<Args, Tensor[]>;
  /** Variables on the device, by those that were given; they are freed with them. */
  readonly uploaded: WeakMap<Variables, Promise<Variables>>;
}

/** The values of the sizes that the file leaves open; undefined if one has several, or one that broadcasts. */
function bindingsOf(graph: GraphFunction, given: readonly Spec[]): Bindings | undefined {
  const bindings: Record<string, number> = {};
  for (const [index, { shape }] of graph.inputs.entries()) {
    for (const [axis, dim] of (shape ?? []).entries()) {
      if (typeof dim === "number") continue;
      const size = Number(given[index].shape[axis]); // of a tensor with values
      if (size < 2 || (bindings[String(dim)] ?? size) !== size) return undefined;
      bindings[String(dim)] = size;
    }
  }
  return bindings;
}

/** The tensors of a call in the order of the inputs. */
function namedInputs(self: string, names: readonly string[], inputs: unknown): Tensor[] {
  const given = (isObject(inputs) && !isTensor(inputs) ? inputs : {}) as Readonly<Record<string, unknown>>; // checked next
  const keys = Object.keys(given);
  if (keys.length !== names.length || !names.every((name) => keys.includes(name))) {
    const found = isTensor(inputs)
      ? "one tensor"
      : isObject(inputs)
      ? `{${keys.join(", ")}}`
      : describeValue(inputs);
    throw new TypeError(
      `Cannot run ${self} with ${found}: expected its inputs by name, {${names.join(", ")}}`,
    );
  }
  return names.map((name) => {
    const x = given[name];
    checkTensor(`run ${self}`, x, name);
    return x;
  });
}

/** `run` of a graph with these variables. */
export function runOf(graph: GraphFunction, self: string, variables: Variables): OnnxRun {
  const names = graph.inputs.map(({ name }) => name);
  const { collected } = graph;
  const compute = (
    params: Tree<Tensor>,
    state: Tree<Tensor>,
    given: readonly Tensor[],
  ): readonly Tensor[] => {
    const own = { params, state } as GraphVariables; // checked before they are uploaded
    return graph.call({ ...own, given, key: undefined, training: false }).outputs;
  };
  const ofDevice = new Map<string, Runners>();
  const runnersOf = (device: Device | undefined): Runners => {
    const text = keyOfDevice(device);
    const known = ofDevice.get(text);
    if (known) return known;
    const source = { device, donate: undefined, keep: undefined, specs: undefined, fixed: FIXED };
    const { runner: fixed } = runSource<Args, Tensor[]>({
      ...source,
      trace: (args) => trace(compute, ...args),
    });
    const runners: Runners = { open: openRunner(device), fixed, uploaded: new WeakMap() };
    ofDevice.set(text, runners);
    return runners;
  };
  /** What runs for all sizes, if the graph can be traced without knowing them. */
  const openRunner = (device: Device | undefined): Runner<Args, Tensor[]> | undefined => {
    const specs = graph.inputs.map(({ shape, dtype }) => shape && { shape, dtype });
    if (!specs.every((spec) => spec !== undefined)) return undefined;
    const isOpen = specs.some(({ shape }) => shape.some((dim) => typeof dim !== "number"));
    if (!isOpen) return undefined;
    const specOfLeaf = ({ shape, dtype }: Spec): Spec => ({ shape, dtype });
    const { params, state } = variables;
    const traced = lazyTrace(compute, [mapTree(params, specOfLeaf), mapTree(state, specOfLeaf), specs]);
    try {
      traced.get();
    } catch {
      return undefined; // a call has the sizes as numbers, and says what is wrong
    }
    return runTrace<Args, Tensor[]>(traced, { device, fixed: FIXED });
  };
  const onDevice = async (
    { uploaded }: Runners,
    given: Variables,
    device: Device | undefined,
    use: (live: Variables) => Promise<Tensor[]>,
  ): Promise<Tensor[]> => {
    const known = uploaded.get(given);
    const live = known ?? uploadTree(given, device);
    if (!known) {
      uploaded.set(given, live);
      live.catch(() => uploaded.delete(given)); // whoever waits for it gets the error
    }
    try {
      return await use(await live);
    } catch (error) {
      if (error instanceof DeviceLost) uploaded.delete(given);
      throw error;
    }
  };
  return async (inputs, options = {}) => {
    checkOptions("run of an ONNX model", options, ["device", "variables"]);
    const { device, variables: own = variables } = options;
    checkDevice(device);
    checkVariables(`run ${self}`, own);
    const { params, state } = own as GraphVariables; // checked next
    collected.checkParams(self, params, state);
    const given = namedInputs(self, names, inputs);
    given.forEach((x, index) => checkInput(graph.inputs[index], x));
    const runners = runnersOf(device);
    const runner = runners.open && bindingsOf(graph, given) ? runners.open : runners.fixed;
    const outputs = await onDevice(
      runners,
      own,
      device,
      (live) => runner(live.params, live.state, given),
    );
    return Object.fromEntries(graph.outputs.map((name, index) => [name, outputs[index] as HostTensor])); // none is kept on the device
  };
}
