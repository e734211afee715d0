/**
 * Feeding a layer or model in chunks: its recurrent layers go on where the chunk before ended. The same as stateful
 * layers, whatever their flags are, with the state kept here.
 */
import { checkOptions } from "../nearest.ts";
import { expandDims, squeeze } from "../operations/structure.ts";
import { stackedSpec } from "../program/types.ts";
import { symbol } from "../tensor/dims.ts";
import type { HostTensor, Spec, Tensor } from "../tensor/tensor.ts";
import { compile, type Compiled, type Device } from "../transforms/compile.ts";
import { outputSpecs } from "../transforms/output_specs.ts";
import { flattenTree, mapTree, type Tree, zipTrees } from "../tree/tree.ts";
import type { Layer, Variables } from "./layer.ts";
import { resetStates, statefulLayer } from "./stateful.ts";

/** Options of {@linkcode streaming}. */
export interface StreamingOptions {
  /** How many sequences are fed side by side; default 1. */
  readonly batch?: number;
  /** Specs of the input `[batch, time, ...]`, where the state is read before anything was pushed. */
  readonly input?: Tree<Spec>;
  /** The backend by name; default `auto`. */
  readonly device?: Device;
}

/** A sequence that is fed in chunks. Calls run one after another, in the order in which they were made. */
export interface Stream extends Disposable {
  /** The output for the next steps, a tree of `[batch, steps, ...]`. */
  push(chunk: Tree<Tensor>): Promise<Tree<Tensor>>;
  /** The output for one step, a tree of `[batch, ...]`; where the layer returns sequences, that of the step. */
  step(input: Tree<Tensor>): Promise<Tree<Tensor>>;
  /** Begins anew with the next call. */
  reset(): void;
  /** The layer's state after the last call that has ended. */
  readonly state: Tree<Tensor>;
}

interface Step {
  readonly output: Tree<Tensor>;
  readonly state: Tree<Tensor>;
}

type StepFunction = (layer: Layer, variables: Variables, input: Tree<Tensor>) => Step;

type Call = Compiled<[params: Tree<Tensor>, state: Tree<Tensor>, input: Tree<Tensor>], Step>;

/**
 * A stream through a layer or model: what its chunks put out, one after another, is what the whole sequence would.
 *
 * @param layer Any layer or model that goes forward in time.
 * @param variables Its params and state; neither is changed.
 * @throws TypeError if a layer inside cannot be fed in chunks, such as `bidirectional`. A chunk of another batch is
 *   refused with a RangeError that names the layer.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, lstm, spec, streaming, type Tensor, treeLeaves, zeros } from "@cellfold/cellfold";
 * const layer = lstm({ units: 4, returnSequences: true });
 * const params = layer.initParams(key(0), spec([null, null, 3]));
 * using stream = streaming(layer, { params, state: [] });
 * const output = await stream.push(zeros([1, 5, 3]));
 * assertEquals(treeLeaves<Tensor>(output)[0].shape, [1, 5, 4]);
 * await stream.step(zeros([1, 3]));
 * ```
 */
export function streaming(layer: Layer, variables: Variables, options: StreamingOptions = {}): Stream {
  checkOptions("streaming", options, ["batch", "input", "device"]);
  const { batch = 1, device } = options;
  if (!Number.isInteger(batch) || batch < 1) {
    throw new RangeError(`Cannot stream: batch is ${batch}, expected a whole number from 1`);
  }
  const stateful = statefulLayer(layer);
  const { params } = variables;
  const fresh = (input: Tree<Spec>) => resetStates(stateful, variables, withBatch(input, batch));
  const compiled = new Map<StepFunction, Promise<Call>>();
  const callOf = (fn: StepFunction): Promise<Call> => {
    let call = compiled.get(fn);
    if (!call) {
      call = compile(
        (params: Tree<Tensor>, state: Tree<Tensor>, input: Tree<Tensor>) =>
          fn(stateful, { params, state }, input),
        { device },
      );
      compiled.set(fn, call);
    }
    return call;
  };
  // What a call begins with is decided when it is made, so a reset concerns the calls after it only.
  const begin = (): Session => ({ state: options.input && fresh(options.input) });
  let session = begin();
  let last: Promise<unknown> = Promise.resolve();
  const run = (fn: StepFunction, sequence: Tree<Spec>, input: Tree<Tensor>): Promise<Tree<Tensor>> => {
    const current = session;
    const result = last.then(async () => {
      const state = current.state ?? fresh(sequence);
      const { output, state: next } = await (await callOf(fn))(params, state, input);
      current.state = next;
      return output;
    });
    last = result.catch(() => {}); // the caller of that call is told
    return result;
  };
  return {
    push: async (chunk) => {
      checkValues(layer, chunk);
      return await run(applySteps, chunk, chunk);
    },
    step: async (input) => {
      const sequence = mapTree(input, (x: Spec) => stackedSpec(x, 1));
      checkValues(layer, mapTree(input, (x: Tensor) => x.kind === "host" ? expandDims(x, 1) : x));
      return await run(applyStep, sequence, input);
    },
    reset: () => {
      session = begin();
    },
    get state() {
      if (session.state !== undefined) return session.state;
      throw new Error(
        "Cannot read the state of the stream: nothing was pushed yet; give options.input for the first state",
      );
    },
    [Symbol.dispose]: () => {
      for (const call of compiled.values()) {
        call.then((ready) => ready[Symbol.dispose](), () => {}); // who asked for it was told why it failed
      }
    },
  };
}

/** Values that no trace can see, such as tokens within the vocabulary; what is on a device is not looked at. */
function checkValues(layer: Layer, input: Tree<Tensor>): void {
  const { leaves } = flattenTree<Tensor>(input, "input");
  if (leaves.every(({ kind }) => kind === "host")) layer.checkInput?.(input as Tree<HostTensor>); // as just seen
}

/** The calls from one reset to the next. */
interface Session {
  state: Tree<Tensor> | undefined;
}

function applySteps(layer: Layer, variables: Variables, input: Tree<Tensor>): Step {
  const { output, state } = layer.apply(variables, input, { training: false });
  return { output, state };
}

/** One step: the layer gets a sequence of length 1, and what it puts out as a sequence loses its time axis. */
function applyStep(layer: Layer, variables: Variables, input: Tree<Tensor>): Step {
  const { output, state } = layer.apply(variables, mapTree(input, (x: Tensor) => expandDims(x, 1)), {
    training: false,
  });
  const time = symbol("time");
  const open = mapTree(input, (x: Spec) => stackedSpec(x, time));
  const specs = outputSpecs<Tree<Spec>>(
    (variables: Variables, sequence: Tree<Tensor>) =>
      layer.apply(variables, sequence, { training: false }).output,
    variables,
    open,
  );
  return {
    output: zipTrees(output, specs, (y: Tensor, { shape }: Spec) => shape[1] === time ? squeeze(y, 1) : y),
    state,
  };
}

function withBatch(input: Tree<Spec>, batch: number): Tree<Spec> {
  return mapTree(input, ({ shape, dtype }: Spec): Spec => ({ shape: [batch, ...shape.slice(1)], dtype }));
}
