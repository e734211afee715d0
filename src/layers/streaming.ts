/**
 * Feeds a layer or model in chunks: its recurrent layers continue where the previous chunk ended. Like
 * stateful layers, whatever their flags, but with the state kept here. What a chunk cannot compute is
 * refused: see chunks.ts.
 */
import { checkCount } from "../describe.ts";
import { giveTurn, turnClock } from "../pause.ts";
import { checkLayer, checkVariables } from "./checks.ts";
import { checkOptions } from "../option_names.ts";
import { expandDims, squeeze } from "../operations/structure.ts";
import { stackedSpec } from "../program/types.ts";
import { type Dim, symbol } from "../tensor/dims.ts";
import {
  type DType,
  type HostTensor,
  isTensor,
  printSpec,
  type Spec,
  type Tensor,
} from "../tensor/tensor.ts";
import { checkDevice, type Device, DeviceLost } from "../transforms/compile.ts";
import { toHost } from "../tree/to_host.ts";
import type { StepLoop } from "../transforms/loop.ts";
import { type ChunkStep, chunkStep } from "./chunk_steps.ts";
import { outputSpecs } from "../program/functions.ts";
import { flattenTree, type MappedTree, mapTree, printStructure, type Tree, zipTrees } from "../tree/tree.ts";
import { convertTree, inputDTypes, isPlainInput } from "./boundary.ts";
import type { Layer, Variables } from "./layer.ts";
import { chunkChecks } from "./chunks.ts";
import { layerName } from "./define.ts";
import { firstState, resetStates, statefulLayer } from "./stateful.ts";
import { setStreamSource } from "./stream_source.ts";

/** Options of {@linkcode streaming}. */
export interface StreamingOptions {
  /** How many sequences are fed side by side; default 1. */
  readonly batch?: number;
  /** Specs of the input `[batch, time, ...]`, needed to read the state before anything was pushed. */
  readonly input?: Tree<Spec>;
  /** The backend by name; default `auto`. */
  readonly device?: Device;
}

/**
 * A sequence that is fed in chunks. Calls run one after another, in the order in which they were made. When a
 * stream is disposed, earlier calls still complete. Between consecutive calls, timers, sockets and abort
 * signals get a turn about every 50 milliseconds; during a call they get none.
 */
export interface Stream<Output = Tree<Tensor>> extends Disposable {
  /** The output for the next steps, `[batch, steps, ...]` for every tensor in it. */
  push(chunk: Tree<Tensor>): Promise<Output>;
  /** The output for one step, `[batch, ...]`; if the layer returns sequences, that of the step. */
  step(input: Tree<Tensor>): Promise<Output>;
  /** The next call starts a new sequence from its first step, even if an initial state was given. */
  reset(): void;
  /**
   * The layer's state after the last completed call; another stream continues here if it gets it as
   * `variables.state`.
   */
  readonly state: Tree<Tensor>;
}

/** How a call runs through the layer. */
type StepFunction = (
  layer: Layer,
  variables: Variables,
  input: Tree<Tensor>,
) => readonly [Tree<Tensor>, Tree<Tensor>];

type ChunkLoop = StepLoop<Tree<Tensor>, Tree<Tensor>, Tree<Tensor>>;

/** The calls of one kind: chunks, or single steps. */
interface Kind {
  readonly name: "chunks" | "steps";
  readonly fn: StepFunction;
  /** Specs of the sequence that an input represents. */
  readonly sequence: (input: Tree<Spec>) => Tree<Spec>;
  /** What is compiled, for any length where the layer allows it. */
  step: ChunkStep | undefined;
  /** Loops over it, one per length, those used last at the end. */
  readonly loops: ChunkLoop[];
}

/** The most lengths of chunks for which a stream has memory ready. */
const MOST_LOOPS = 4;

/** The calls from one reset to the next. */
interface StreamSession {
  /** The state on the host, while no loop holds it. */
  state: Tree<Tensor> | undefined;
  /** Whether it starts with the given state. */
  readonly goesOn: boolean;
  /** The loop that holds the state. */
  loop: ChunkLoop | undefined;
}

/**
 * A stream through a layer or model: the outputs of its chunks, one after another, equal those of the whole
 * sequence. An output without a time axis, such as that of `lstm` without `returnSequences`, is the one for
 * the steps so far.
 *
 * Masks made inside (`masking`, `embedding` with `maskZero`) act as in the whole sequence. A graph input that
 * has no open time axis is the same at every step and is given with every chunk.
 *
 * @param layer Any layer or model that runs forward in time.
 * @param variables Its params and state; neither is changed. The stream continues from the carries in the
 *   state, such as `stream.state` of another stream; if there are none (`state: []`, or that of a layer that
 *   is not stateful) it starts with fresh ones.
 * @throws TypeError if a layer inside cannot be fed in chunks, such as `bidirectional`; and, with the first
 *   chunk (with `options.input` at once), if a layer or function computes a step from others, as attention or
 *   a mean over time does, or if the state has another structure, batch or dtype. A chunk with another batch
 *   is refused with a RangeError that names the layer; a call after the stream was disposed with an Error.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, lstm, spec, streaming, zeros } from "@cellfold/cellfold";
 * const layer = lstm({ units: 4, returnSequences: true });
 * const params = layer.initParams(key(0), spec([null, null, 3]));
 * using stream = streaming(layer, { params, state: [] });
 * const output = await stream.push(zeros([1, 5, 3]));
 * assertEquals(output.shape, [1, 5, 4]);
 * await stream.step(zeros([1, 3]));
 * ```
 */
export function streaming<Output>(
  layer: Layer<Output>,
  variables: Variables,
  options?: StreamingOptions,
): Stream<MappedTree<Output, HostTensor>>;
export function streaming(layer: Layer, variables: Variables, options: StreamingOptions = {}): Stream {
  checkLayer("stream", layer);
  checkVariables("stream", variables);
  checkOptions("streaming", options, ["batch", "input", "device"]);
  const { batch = 1, device } = options;
  checkCount("stream", batch, "batch");
  checkDevice(device);
  const stateful = statefulLayer(layer);
  const { params } = variables;
  let givenState = variables.state;
  const firstOf = ({ goesOn }: Pick<StreamSession, "goesOn">, input: Tree<Spec>): Tree<Tensor> => {
    const specs = withBatch(input, batch);
    const given: Variables = { params, state: givenState };
    return goesOn ? firstState(stateful, given, specs) : resetStates(stateful, given, specs);
  };
  const { isSequence, asSequence } = sequencesOf(stateful);
  const chunks: Kind = {
    name: "chunks",
    fn: applySteps,
    sequence: (input) => input,
    step: undefined,
    loops: [],
  };
  const steps: Kind = {
    name: "steps",
    fn: stepOf(asSequence),
    sequence: (input) => asSequence(input, 1),
    step: undefined,
    loops: [],
  };
  const checkChunks = chunkChecks(stateful, variables, isSequence);
  // The initial state of a call is decided when the call is made, so a reset affects only later calls.
  const begin = (goesOn: boolean): StreamSession => ({
    state: options.input === undefined ? undefined : firstOf({ goesOn }, options.input),
    loop: undefined,
    goesOn,
  });
  if (options.input !== undefined) checkChunks(withBatch(options.input, batch));
  let session = begin(true);
  const isTurnDue = turnClock();
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  let isDisposed = false;

  /** Hands the session's state to the loop that continues with it. */
  const enter = (current: StreamSession, loop: ChunkLoop, kind: Kind, input: Tree<Tensor>): void => {
    if (current.loop === loop) return;
    loop.writeState(current.loop?.readState() ?? current.state ?? firstOf(current, kind.sequence(input)));
    current.loop = loop;
  };
  const compileFor = async (kind: Kind, current: StreamSession, input: Tree<Tensor>): Promise<ChunkLoop> => {
    const { name, fn, sequence, loops } = kind;
    if (!kind.step?.accepts(input)) checkChunks(withBatch(sequence(input), batch));
    givenState = await toHost(givenState);
    if (current.state) current.state = await toHost(current.state);
    const state = current.state ?? firstOf(current, sequence(input));
    const onHost = await toHost(input);
    if (!kind.step?.accepts(onHost)) {
      kind.step?.release();
      kind.step = await chunkStep(
        layer,
        (params, state, input) => fn(stateful, { params, state }, input),
        { name, params, state, input: onHost, device, isSequence },
      );
    }
    const loop = await kind.step.begin(params, state, onHost);
    loops.push(loop);
    if (loops.length > MOST_LOOPS) {
      const [unused] = loops.filter((other) => other !== current.loop);
      loops.splice(loops.indexOf(unused), 1);
      unused[Symbol.dispose]();
    }
    return loop;
  };
  const dtypes = new Map<string, readonly DType[]>();
  /** The input in the dtypes that the layer accepts. */
  const convert = ({ sequence }: Kind, input: Tree<Tensor>): Tree<Tensor> => {
    if (isPlainInput(variables, input)) return input;
    const specs = withBatch(sequence(input), batch);
    const { leaves, structure } = flattenTree<Spec>(specs);
    const key = printStructure(structure) + leaves.map(printSpec).join();
    let taken = dtypes.get(key);
    if (!taken) dtypes.set(key, taken = inputDTypes(layer, variables, specs, "input"));
    return convertTree("input", input, taken);
  };
  /** Loops on a lost device are given up; the next call continues from the state before this one. */
  const giveUpLost = (error: unknown, current: StreamSession): unknown => {
    if (!(error instanceof DeviceLost)) return error;
    if (current.loop) [current.state, current.loop] = [current.loop.readState(), undefined];
    disposeLoops(true);
    return error;
  };
  const run = (kind: Kind, given: Tree<Tensor>): Promise<Tree<Tensor>> => {
    const current = session;
    const accepting = (input: Tree<Tensor>) => kind.loops.find((loop) => loop.accepts(input));
    const asGiven = accepting(given);
    const input = asGiven ? given : convert(kind, given);
    const ready = waiting > 0 ? undefined : asGiven ?? accepting(input);
    if (ready && isOnHost(input)) {
      enter(current, ready, kind, input);
      try {
        const output = ready.run(input);
        const isDue = isTurnDue();
        if (!(output instanceof Promise)) {
          // The input has been read and the output is there; only its receiver waits.
          return isDue ? wait(() => giveTurn().then(() => output)) : Promise.resolve(output);
        }
        const result = output.catch((error) => {
          throw giveUpLost(error, current);
        });
        result.catch(() => {}); // reported by the promise below
        return wait(() => result);
      } catch (error) {
        return Promise.reject(giveUpLost(error, current));
      }
    }
    return wait(async () => {
      if (isTurnDue()) await giveTurn();
      try {
        const loop = accepting(input) ?? await compileFor(kind, current, input);
        enter(current, loop, kind, input);
        return await loop.run(await toHost(input));
      } catch (error) {
        throw giveUpLost(error, current);
      }
    });
  };
  /** Calls that have to wait keep their order. */
  const wait = <Result>(call: () => Promise<Result>): Promise<Result> => {
    waiting++;
    const result = last.then(call).finally(() => {
      waiting--;
      if (isDisposed && waiting === 0) disposeLoops();
    });
    last = result.catch(() => {}); // reported to the caller of that call
    return result;
  };
  const disposeLoops = (isLost = false) => {
    for (const kind of [chunks, steps]) {
      for (const loop of kind.loops.splice(0)) loop[Symbol.dispose]();
      kind.step?.release(isLost);
      kind.step = undefined;
    }
  };
  const checkOpen = (what: string) => {
    if (isDisposed) {
      throw new Error(`Cannot ${what} a stream through ${layerName(layer)} that was disposed; make another`);
    }
  };
  const stream: Stream = {
    push: (chunk) => {
      try {
        checkOpen("push to");
        checkValues(layer, chunk);
        return run(chunks, chunk);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    step: (input) => {
      try {
        checkOpen("step");
        if (layer.checkInput && isOnHost(input)) checkValues(layer, expanded(asSequence, input));
        return run(steps, input);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    reset: () => {
      checkOpen("reset");
      session = begin(false);
    },
    get state() {
      checkOpen("read the state of");
      const state = session.loop?.readState() ?? session.state;
      if (state !== undefined) return state;
      throw new Error(
        "Cannot read the state of the stream: nothing was pushed yet; give options.input for the first state",
      );
    },
    [Symbol.dispose]: () => {
      isDisposed = true;
      if (waiting === 0) disposeLoops();
    },
  };
  setStreamSource(stream, {
    layer,
    params,
    batch,
    device,
    advance: (what, input, advance) => {
      checkOpen(`${what} from`);
      const current = session;
      return wait(async () => {
        givenState = await toHost(givenState);
        const before = current.loop?.readState() ?? current.state ?? firstOf(current, input);
        const [result, after] = await advance(await toHost(before));
        current.loop ? current.loop.writeState(after) : current.state = after;
        return result;
      });
    },
  });
  return stream;
}

/** Which tensors of the input are sequences, and how one step of them is made a sequence. */
function sequencesOf({ sequenceInputs }: Layer) {
  const isSequence = (index: number): boolean => sequenceInputs?.[index] ?? true;
  const asSequence = (step: Tree<Spec>, time: Dim): Tree<Spec> => {
    let index = 0;
    return mapTree(step, (x: Spec) => isSequence(index++) ? stackedSpec(x, time) : x);
  };
  return { isSequence, asSequence };
}

/** The same for tensors. */
function expanded(asSequence: (step: Tree<Spec>, time: Dim) => Tree<Spec>, step: Tree<Tensor>): Tree<Tensor> {
  return zipTrees(
    step,
    asSequence(step, 1),
    (x: Tensor, { shape }: Spec) => shape.length === x.shape.length ? x : expandDims(x, 1),
  );
}

function isOnHost(input: Tree<Tensor>): boolean {
  return isTensor(input)
    ? input.kind === "host"
    : flattenTree<Tensor>(input).leaves.every(({ kind }) => kind === "host");
}

/**
 * Checks values that no trace can see, such as tokens within the vocabulary; data on a device is not checked.
 */
function checkValues(layer: Layer, input: Tree<Tensor>): void {
  if (!layer.checkInput) return;
  const { leaves } = flattenTree<Tensor>(input, "input");
  if (leaves.every(({ kind }) => kind === "host")) layer.checkInput(input as Tree<HostTensor>); // all on the host
}

function applySteps(layer: Layer, variables: Variables, input: Tree<Tensor>): ReturnType<StepFunction> {
  const { output, state } = layer.apply(variables, input, { training: false });
  return [output, state];
}

/** One step: the layer gets a sequence of length 1, and its sequence outputs lose their time axis. */
function stepOf(asSequence: (step: Tree<Spec>, time: Dim) => Tree<Spec>): StepFunction {
  return (layer, variables, input) => {
    const { output, state } = layer.apply(variables, expanded(asSequence, input), { training: false });
    const time = symbol("time");
    const specs = outputSpecs<Tree<Spec>>(
      (variables: Variables, sequence: Tree<Tensor>) =>
        layer.apply(variables, sequence, { training: false }).output,
      variables,
      asSequence(input, time),
    );
    return [
      zipTrees(
        output,
        specs,
        (y: Tensor, { shape }: Spec) => shape[1] === time ? squeeze(y, { axes: 1 }) : y,
      ),
      state,
    ];
  };
}

function withBatch(input: Tree<Spec>, batch: number): Tree<Spec> {
  return mapTree(input, ({ shape, dtype }: Spec): Spec => ({ shape: [batch, ...shape.slice(1)], dtype }));
}
