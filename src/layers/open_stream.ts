/**
 * What a stream does: its calls one after another, the loops that carry its state, and the states that it is
 * given. What it runs is in stream_steps.ts.
 */
import { zeros } from "../operations/creation.ts";
import type { HostTensor, Spec, Tensor } from "../tensor/tensor.ts";
import { DeviceLost } from "../transforms/devices.ts";
import type { StepLoop } from "../transforms/loop.ts";
import { toHost } from "../tree/to_host.ts";
import { flattenTree, mapTree, type Tree, treeLeaves, unflattenTree } from "../tree/tree.ts";
import { callQueue } from "./call_queue.ts";
import { type ChunkStep, chunkStep, keyOf } from "./chunk_steps.ts";
import { layerName } from "./define.ts";
import { checkedState, firstState, resetStates } from "./stateful.ts";
import { type ArrayStep, arrayStep, type StepArrays, valueCheck } from "./step_arrays.ts";
import type { Stream } from "./stream.ts";
import { setSource } from "./stream_source.ts";
import { checkValues, expanded, isOnHost, withBatch } from "./stream_steps.ts";
import type { CallKind, Streamed } from "./streamed.ts";

type ChunkLoop = StepLoop<Tree<Tensor>, Tree<Tensor>, Tree<Tensor>>;

/** The calls of one kind in a stream. */
interface Calls {
  /** What is compiled for them. */
  step: ChunkStep | undefined;
  /** Loops over it, one per length, those used last at the end. */
  loops: readonly ChunkLoop[];
}

const NONE: readonly ChunkLoop[] = [];

/** The most lengths of chunks for which a stream has memory ready. */
const MOST_LOOPS = 4;

/** The calls from one reset to the next. */
interface StreamSession {
  /** The state on the host, while no loop holds it. */
  state: Tree<Tensor> | undefined;
  /** The state that was given. */
  given: Tree<Tensor>;
  /** Whether it starts with the given state. */
  readonly goesOn: boolean;
  /** The loop that holds the state. */
  loop: ChunkLoop | undefined;
}

async function onHost(tree: Tree<Tensor>): Promise<Tree<HostTensor>> {
  return isOnHost(tree) ? tree as Tree<HostTensor> : await toHost(tree); // as was just checked
}

/** A tensor that may be written to. */
const copied = (leaf: Tensor): Tensor => leaf.kind === "host" ? { ...leaf, data: leaf.data.slice() } : leaf;

/** The state before the first call of a session; it is not written to, as other streams begin with it too. */
function firstOf(
  streamed: Streamed,
  { goesOn, given }: Pick<StreamSession, "goesOn" | "given">,
  input: Tree<Spec>,
): Tree<Tensor> {
  const { stateful, params, batch } = streamed;
  const sequence = withBatch(input, batch);
  if (!goesOn) return resetStates(stateful, { params, state: given }, sequence);
  if (treeLeaves(given).length > 0) return firstState(stateful, { params, state: given }, sequence);
  const specs = keyOf(sequence);
  if (streamed.fresh?.specs !== specs) {
    streamed.fresh = { specs, state: firstState(stateful, { params, state: given }, sequence) };
  }
  return streamed.fresh.state;
}

export function begun(
  streamed: Streamed,
  given: Tree<Tensor>,
  goesOn: boolean,
  input: Tree<Spec> | undefined,
): StreamSession {
  const state = input === undefined ? undefined : firstOf(streamed, { goesOn, given }, input);
  return { given, state, goesOn, loop: undefined };
}

/** What a stream begins with besides its session. */
interface Beginning {
  /** Specs of an input, if they were given. */
  readonly input: Tree<Spec> | undefined;
  /** Those of the first input of the stream that it was forked from. */
  readonly known?: Tree<Spec>;
  /** What another stream has compiled. */
  readonly compiled: Readonly<Partial<Record<CallKind["name"], ChunkStep>>>;
}

export function openStream(
  streamed: Streamed,
  first: StreamSession,
  { input, known: before, compiled }: Beginning,
): Stream {
  const { layer, params, batch, device, kinds, checkChunks, sequences: { asSequence, asStep } } = streamed;
  const calls: Readonly<Record<CallKind["name"], Calls>> = {
    chunks: { step: compiled.chunks, loops: NONE },
    steps: { step: compiled.steps, loops: NONE },
  };
  /** Specs of an input, once there was one. */
  let known = before ?? input;
  // The initial state of a call is decided when the call is made, so a reset affects only later calls.
  let session = first;
  /** The step from arrays into arrays, and the loop that it belongs to. */
  let atOnce: { readonly loop: ChunkLoop; readonly step: ArrayStep | undefined } | undefined;
  let isDisposed = false;
  const queue = callQueue(() => {
    if (isDisposed) disposeLoops();
  });

  const stateOf = (current: StreamSession, input: () => Tree<Spec>): Tree<Tensor> =>
    current.loop?.readState() ?? current.state ?? firstOf(streamed, current, input());
  /** The loop has the session's state from now on. */
  const handOver = (current: StreamSession, loop: ChunkLoop): void => {
    current.loop = loop;
    current.state = undefined;
  };
  /** Hands the session's state to the loop that continues with it. */
  const enter = (current: StreamSession, loop: ChunkLoop, kind: CallKind, input: () => Tree<Spec>): void => {
    if (current.loop === loop) return;
    loop.writeState(stateOf(current, () => kind.sequence(input())));
    handOver(current, loop);
  };
  /** What is compiled for calls like this one, by this stream or another. */
  const knownStep = (kind: CallKind, input: Tree<Tensor>): ChunkStep | undefined => {
    const own = calls[kind.name];
    if (own.step?.accepts(input)) return own.step;
    own.step?.release();
    own.step = kind.latest?.share();
    if (own.step?.accepts(input)) return own.step;
    own.step?.release();
    return own.step = undefined;
  };
  const newStep = async (kind: CallKind, state: Tree<Tensor>, input: Tree<Tensor>): Promise<ChunkStep> => {
    const { stateful, sequences: { isSequence } } = streamed;
    return kind.latest = calls[kind.name].step = await chunkStep(
      layer,
      (params, state, input) => kind.fn(stateful, { params, state }, input),
      { name: kind.name, params, state, input, device, isSequence },
    );
  };
  /** A loop that begins with the session's state. */
  const beginLoop = async (
    kind: CallKind,
    current: StreamSession,
    input: Tree<HostTensor>,
  ): Promise<ChunkLoop> => {
    const own = calls[kind.name];
    const sequence = kind.sequence(input);
    const found = knownStep(kind, input);
    if (!found) checkChunks(withBatch(sequence, batch));
    const state = stateOf(current, () => sequence);
    const step = found ?? await newStep(kind, state, input);
    const loop = await step.begin(params, state, input);
    known ??= mapTree(sequence, ({ shape, dtype }: Spec): Spec => ({ shape, dtype }));
    handOver(current, loop);
    own.loops = [...own.loops, loop];
    if (own.loops.length > MOST_LOOPS) {
      const [unused] = own.loops.filter((other) => other !== current.loop && other !== session.loop);
      own.loops = own.loops.filter((other) => other !== unused);
      unused[Symbol.dispose]();
    }
    return loop;
  };
  /** The loop for an input, with the session's state on the host if no loop has it. */
  const loopFor = async (
    kind: CallKind,
    current: StreamSession,
    input: Tree<HostTensor>,
  ): Promise<ChunkLoop> => {
    if (!current.loop) {
      current.given = await onHost(current.given);
      if (current.state) current.state = await onHost(current.state);
    }
    return calls[kind.name].loops.find((loop) => loop.accepts(input)) ??
      await beginLoop(kind, current, input);
  };
  /** Loops on a lost device are given up; the next call continues from the state before this one. */
  const giveUpLost = (error: unknown, current: StreamSession): unknown => {
    if (!(error instanceof DeviceLost)) return error;
    if (current.loop) [current.state, current.loop] = [current.loop.readState(), undefined];
    disposeLoops(true);
    return error;
  };
  const run = (kind: CallKind, given: Tree<Tensor>): Promise<Tree<Tensor>> => {
    const current = session;
    const accepting = (input: Tree<Tensor>) => calls[kind.name].loops.find((loop) => loop.accepts(input));
    const asGiven = accepting(given);
    const input = asGiven ? given : streamed.convert(given, kind.sequence);
    const ready = queue.waiting > 0 ? undefined : asGiven ?? accepting(input);
    if (ready && isOnHost(input)) {
      enter(current, ready, kind, () => input);
      try {
        const output = ready.run(input);
        // The input has been read and the output is there; only its receiver waits.
        if (!(output instanceof Promise)) return queue.done(output);
        const result = output.catch((error) => {
          throw giveUpLost(error, current);
        });
        result.catch(() => {}); // reported by the promise below
        return queue.later(() => result);
      } catch (error) {
        return Promise.reject(giveUpLost(error, current));
      }
    }
    return queue.later(async () => {
      try {
        const given = await onHost(input);
        const loop = await loopFor(kind, current, given);
        enter(current, loop, kind, () => given);
        return await loop.run(given);
      } catch (error) {
        throw giveUpLost(error, current);
      }
    });
  };
  const refusedAtOnce = (why: string) => new Error(`Cannot step ${layerName(layer)} at once: ${why}`);
  /** Finds the step from arrays into arrays; not on the way of later calls. */
  const prepareAtOnce = (): ArrayStep => {
    const loop = calls.steps.loops.at(-1);
    if (!loop) throw refusedAtOnce("no step was compiled; await stream.ready() or stream.step(input) first");
    if (atOnce?.loop !== loop) {
      const { structure } = flattenTree(asStep(known as Tree<Spec>)); // known with the loop
      const steps = unflattenTree<Tree<Spec>>(structure, loop.inputs.map(({ spec }) => spec));
      atOnce = { loop, step: arrayStep(loop, valueCheck(layer, asSequence(steps, 1))) };
    }
    if (!atOnce.step) {
      throw refusedAtOnce("its device cannot block; await stream.step(input), or stream on wasm");
    }
    return atOnce.step;
  };
  const stepAtOnce = (input: StepArrays, output: StepArrays): void => {
    if (isDisposed) checkOpen("step");
    if (queue.waiting > 0) {
      throw refusedAtOnce("earlier calls are not done; await them first");
    }
    const step = prepareAtOnce();
    const { loops } = calls.steps, loop = loops[loops.length - 1];
    if (session.loop !== loop) enter(session, loop, kinds.steps, () => asStep(known as Tree<Spec>)); // known with the loop
    try {
      step(input, output);
    } catch (error) {
      throw giveUpLost(error, session);
    }
  };
  const disposeLoops = (isLost = false) => {
    atOnce = undefined;
    for (const own of Object.values(calls)) {
      for (const loop of own.loops) loop[Symbol.dispose]();
      own.loops = NONE;
      own.step?.release(isLost);
      own.step = undefined;
    }
  };
  const checkOpen = (what: string) => {
    if (isDisposed) {
      throw new Error(`Cannot ${what} a stream through ${layerName(layer)} that was disposed; make another`);
    }
  };
  const stepLater = (input: Tree<Tensor>): Promise<Tree<Tensor>> => {
    try {
      checkOpen("step");
      if (layer.checkInput && isOnHost(input)) checkValues(layer, expanded(asSequence, input));
      return run(kinds.steps, input);
    } catch (error) {
      return Promise.reject(error);
    }
  };
  function step(input: Tree<Tensor>): Promise<Tree<Tensor>>;
  function step(input: StepArrays, output: StepArrays): void;
  function step(input: Tree<Tensor> | StepArrays, output?: StepArrays): Promise<Tree<Tensor>> | void {
    return output === undefined ? stepLater(input as Tree<Tensor>) : stepAtOnce(input as StepArrays, output);
  }
  const stream: Stream = {
    push: (chunk) => {
      try {
        checkOpen("push to");
        checkValues(layer, chunk);
        return run(kinds.chunks, chunk);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    step,
    ready: async () => {
      checkOpen("make ready");
      if (known === undefined) {
        throw new Error(
          "Cannot make the stream ready: what a step takes is not known yet; give options.input, or await a step",
        );
      }
      const sample = mapTree(
        asStep(withBatch(known, batch)),
        ({ shape, dtype }: Spec) => zeros(shape, { dtype }),
      );
      await queue.later(async () => {
        const converted = streamed.convert(sample, kinds.steps.sequence);
        await loopFor(kinds.steps, session, await onHost(converted));
      });
    },
    reset: () => {
      checkOpen("reset");
      session = begun(streamed, session.given, false, input);
    },
    fork: () => {
      checkOpen("fork");
      const { given, goesOn } = session;
      const state = session.loop?.readState() ?? session.state;
      return openStream(streamed, { given, goesOn, state, loop: undefined }, {
        input,
        known,
        compiled: { chunks: calls.chunks.step?.share(), steps: calls.steps.step?.share() },
      });
    },
    get state() {
      checkOpen("read the state of");
      const { loop, state } = session;
      if (loop) return loop.readState();
      if (state) return mapTree(state, copied);
      throw new Error(
        "Cannot read the state of the stream: nothing was pushed yet; give options.input for the first state",
      );
    },
    set state(state) {
      checkOpen("set the state of");
      session = begun(streamed, checkedState(state), true, known);
    },
    [Symbol.dispose]: () => {
      isDisposed = true;
      if (queue.waiting === 0) disposeLoops();
    },
  };
  setSource(stream, {
    layer,
    params,
    batch,
    device,
    advance: (what, input, run) => {
      checkOpen(`${what} from`);
      const current = session;
      return queue.later(async () => {
        current.given = await onHost(current.given);
        const [result, after] = await run(await onHost(stateOf(current, () => input)));
        if (current.loop) current.loop.writeState(after);
        else current.state = after;
        return result;
      });
    },
  });
  return stream;
}
