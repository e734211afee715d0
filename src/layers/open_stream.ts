/**
 * What a stream does: its calls one after another, the loops that carry its state, and the states that it is
 * given. What it runs is in stream_steps.ts.
 */
import { zeros } from "../operations/creation.ts";
import type { HostTensor, Spec, Tensor } from "../tensor/tensor.ts";
import { type Device, DeviceLost } from "../transforms/compile.ts";
import type { StepLoop } from "../transforms/loop.ts";
import { toHost } from "../tree/to_host.ts";
import { flattenTree, mapTree, type Tree, unflattenTree } from "../tree/tree.ts";
import { callQueue } from "./call_queue.ts";
import { type ChunkStep, chunkStep } from "./chunk_steps.ts";
import type { chunkChecks } from "./chunks.ts";
import { layerName } from "./define.ts";
import type { Layer } from "./layer.ts";
import { checkedState, firstState, resetStates } from "./stateful.ts";
import { type ArrayStep, arrayStep, type StepArrays } from "./step_arrays.ts";
import type { Stream } from "./stream.ts";
import { setSource } from "./stream_source.ts";
import {
  checkValues,
  type conversion,
  expanded,
  isOnHost,
  type sequencesOf,
  type StepFunction,
  withBatch,
} from "./stream_steps.ts";

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
  /** The state that was given. */
  given: Tree<Tensor>;
  /** Whether it starts with the given state. */
  readonly goesOn: boolean;
  /** The loop that holds the state. */
  loop: ChunkLoop | undefined;
}

/** What a stream has in common with those that are forked from it. */
export interface Streamed {
  readonly layer: Layer;
  readonly stateful: Layer;
  readonly params: Tree<Tensor>;
  readonly batch: number;
  readonly device: Device | undefined;
  /** Specs of an input, if they were given. */
  readonly input: Tree<Spec> | undefined;
  /** Those of the first input, once there was one. */
  known: Tree<Spec> | undefined;
  readonly sequences: ReturnType<typeof sequencesOf>;
  readonly functions: Readonly<Record<Kind["name"], StepFunction>>;
  readonly checkChunks: ReturnType<typeof chunkChecks>;
  readonly convert: ReturnType<typeof conversion>;
}

/** The state before the first call of a session. */
function firstOf(
  { stateful, params, batch }: Streamed,
  { goesOn, given }: Pick<StreamSession, "goesOn" | "given">,
  input: Tree<Spec>,
): Tree<Tensor> {
  const from = goesOn ? firstState : resetStates;
  return from(stateful, { params, state: given }, withBatch(input, batch));
}

export function begun(
  streamed: Streamed,
  given: Tree<Tensor>,
  goesOn: boolean,
  input = streamed.input,
): StreamSession {
  const state = input === undefined ? undefined : firstOf(streamed, { goesOn, given }, input);
  return { given, state, goesOn, loop: undefined };
}

/** @param compiled What another stream has compiled. */
export function openStream(
  streamed: Streamed,
  first: StreamSession,
  compiled: Readonly<Partial<Record<Kind["name"], ChunkStep>>>,
): Stream {
  const { layer, stateful, params, batch, device, sequences, functions, checkChunks } = streamed;
  const { isSequence, asSequence, asStep } = sequences;
  const chunks: Kind = {
    name: "chunks",
    fn: functions.chunks,
    sequence: (input) => input,
    step: compiled.chunks,
    loops: [],
  };
  const steps: Kind = {
    name: "steps",
    fn: functions.steps,
    sequence: (input) => asSequence(input, 1),
    step: compiled.steps,
    loops: [],
  };
  // The initial state of a call is decided when the call is made, so a reset affects only later calls.
  let session = first;
  /** The step from arrays into arrays, and the loop that it belongs to. */
  let atOnce: { readonly loop: ChunkLoop; readonly step: ArrayStep | undefined } | undefined;
  let isDisposed = false;
  const queue = callQueue(() => {
    if (isDisposed) disposeLoops();
  });

  /** Hands the session's state to the loop that continues with it. */
  const enter = (current: StreamSession, loop: ChunkLoop, kind: Kind, input: () => Tree<Spec>): void => {
    if (current.loop === loop) return;
    loop.writeState(
      current.loop?.readState() ?? current.state ?? firstOf(streamed, current, kind.sequence(input())),
    );
    current.loop = loop;
  };
  const compileFor = async (kind: Kind, current: StreamSession, input: Tree<Tensor>): Promise<ChunkLoop> => {
    const { name, fn, sequence, loops } = kind;
    if (!kind.step?.accepts(input)) checkChunks(withBatch(sequence(input), batch));
    const state = current.loop?.readState() ?? current.state ?? firstOf(streamed, current, sequence(input));
    const onHost = await toHost(input);
    if (!kind.step?.accepts(onHost)) {
      kind.step?.release();
      kind.step = undefined;
      kind.step = await chunkStep(
        layer,
        (params, state, input) => fn(stateful, { params, state }, input),
        { name, params, state, input: onHost, device, isSequence },
      );
    }
    const loop = await kind.step.begin(params, state, onHost);
    streamed.known ??= mapTree(sequence(onHost), ({ shape, dtype }: Spec): Spec => ({ shape, dtype }));
    loops.push(loop);
    if (loops.length > MOST_LOOPS) {
      const [unused] = loops.filter((other) => other !== current.loop && other !== session.loop);
      loops.splice(loops.indexOf(unused), 1);
      unused[Symbol.dispose]();
    }
    return loop;
  };
  /** The loop for an input, with the session's state on the host if no loop has it. */
  const loopFor = async (kind: Kind, current: StreamSession, input: Tree<Tensor>): Promise<ChunkLoop> => {
    if (!current.loop) {
      current.given = await toHost(current.given);
      if (current.state) current.state = await toHost(current.state);
    }
    return kind.loops.find((loop) => loop.accepts(input)) ?? await compileFor(kind, current, input);
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
        const loop = await loopFor(kind, current, input);
        enter(current, loop, kind, () => input);
        return await loop.run(await toHost(input));
      } catch (error) {
        throw giveUpLost(error, current);
      }
    });
  };
  const refusedAtOnce = (why: string) => new Error(`Cannot step ${layerName(layer)} at once: ${why}`);
  /** Finds the step from arrays into arrays; not on the way of later calls. */
  const prepareAtOnce = (): ArrayStep => {
    const loop = steps.loops.at(-1);
    if (!loop) throw refusedAtOnce("no step was compiled; await stream.ready() or stream.step(input) first");
    if (atOnce?.loop !== loop) {
      const { structure } = flattenTree(asStep(streamed.known as Tree<Spec>));
      const check = layer.checkInput &&
        ((inputs: readonly HostTensor[]) =>
          checkValues(layer, expanded(asSequence, unflattenTree<Tree<Tensor>>(structure, inputs))));
      atOnce = { loop, step: arrayStep(loop, check) };
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
    const loop = steps.loops[steps.loops.length - 1];
    if (session.loop !== loop) enter(session, loop, steps, () => asStep(streamed.known as Tree<Spec>)); // known with the loop
    try {
      step(input, output);
    } catch (error) {
      throw giveUpLost(error, session);
    }
  };
  const disposeLoops = (isLost = false) => {
    atOnce = undefined;
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
  const stepLater = (input: Tree<Tensor>): Promise<Tree<Tensor>> => {
    try {
      checkOpen("step");
      if (layer.checkInput && isOnHost(input)) checkValues(layer, expanded(asSequence, input));
      return run(steps, input);
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
        return run(chunks, chunk);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    step,
    ready: async () => {
      checkOpen("make ready");
      const { known: input } = streamed;
      if (input === undefined) {
        throw new Error(
          "Cannot make the stream ready: what a step takes is not known yet; give options.input, or await a step",
        );
      }
      const sample = mapTree(
        asStep(withBatch(input, batch)),
        ({ shape, dtype }: Spec) => zeros(shape, { dtype }),
      );
      await queue.later(() => loopFor(steps, session, streamed.convert(sample, steps.sequence)));
    },
    reset: () => {
      checkOpen("reset");
      session = begun(streamed, session.given, false);
    },
    fork: () => {
      checkOpen("fork");
      const { given, goesOn } = session;
      const state = session.loop?.readState() ?? session.state;
      return openStream(streamed, { given, goesOn, state, loop: undefined }, {
        chunks: chunks.step?.share(),
        steps: steps.step?.share(),
      });
    },
    get state() {
      checkOpen("read the state of");
      const state = session.loop?.readState() ?? session.state;
      if (state !== undefined) return state;
      throw new Error(
        "Cannot read the state of the stream: nothing was pushed yet; give options.input for the first state",
      );
    },
    set state(state) {
      checkOpen("set the state of");
      session = begun(streamed, checkedState(state), true, streamed.known);
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
        current.given = await toHost(current.given);
        const before = current.loop?.readState() ?? current.state ?? firstOf(streamed, current, input);
        const [result, after] = await run(await toHost(before) as Tree<HostTensor>);
        if (current.loop) current.loop.writeState(after);
        else current.state = after;
        return result;
      });
    },
  });
  return stream;
}
