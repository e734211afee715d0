/**
 * Many sessions through a layer or model, stepped together: the rows of a batch are slots, which sessions join
 * and leave. A step computes all slots, and changes the state of those that take part.
 */
import { checkCount, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { type HostTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { checkDevice, type Device, DeviceLost } from "../transforms/devices.ts";
import type { StepLoop } from "../transforms/loop.ts";
import { toHost } from "../tree/to_host.ts";
import { flattenTree, type MappedTree, printPath, type Tree } from "../tree/tree.ts";
import { callQueue } from "./call_queue.ts";
import { checkLayer, checkVariables } from "./checks.ts";
import { type ChunkStep, chunkStep } from "./chunk_steps.ts";
import { chunkChecks } from "./chunks.ts";
import { layerName } from "./define.ts";
import type { Layer, Variables } from "./layer.ts";
import { checkApart, checkRoom, type Row, selectSlots, type Slots, slotsOf, zeroOthers } from "./slots.ts";
import { checkedState, statefulLayer } from "./stateful.ts";
import {
  checkValues,
  conversion,
  expanded,
  isOnHost,
  sequencesOf,
  stepOf,
  withBatch,
} from "./stream_steps.ts";

/** Options of {@linkcode streams}. */
export interface StreamsOptions {
  /** How many sessions there can be at a time. */
  readonly capacity: number;
  /** Specs of the input `[batch, time, ...]`, needed to read a session's state before the first step. */
  readonly input?: Tree<Spec>;
  /** The backend by name; default `auto`. */
  readonly device?: Device;
}

/** One of many sequences that are stepped together. */
export interface StreamsSession {
  /** The row of inputs and outputs that is this session's, until it leaves. */
  readonly slot: number;
  /**
   * Its state after the last completed step, as that of a stream with batch 1. If it is set, the next step
   * goes on from there; a state of another structure, batch or dtype is refused with a TypeError that names
   * the place.
   */
  state: Tree<Tensor>;
  /** Gives the slot back. */
  leave(): void;
}

/** Options of a step of {@linkcode Streams}. */
export interface StepTogetherOptions {
  /** The sessions that take part; default all. */
  readonly sessions?: Iterable<StreamsSession>;
}

/** Sessions that are stepped together. Steps run one after another, in the order in which they were made. */
export interface Streams<Output = Tree<Tensor>> extends Disposable {
  /** How many sessions there can be. */
  readonly capacity: number;
  /** Those that there are, by slot. */
  readonly sessions: readonly StreamsSession[];
  /**
   * A session in the first free slot.
   *
   * @param state Where it begins, such as the state of a stream with batch 1 or of another session; default
   *   that of the variables, or a fresh one.
   * @throws RangeError if no slot is free; TypeError for a state of another structure, batch or dtype (if no
   *   input is known yet, with the first step).
   */
  join(state?: Tree<Tensor>): StreamsSession;
  /**
   * One step of the sessions that take part. The state of all others stays as it is, whatever their rows of
   * the input contain.
   *
   * @param input `[capacity, ...]` for every tensor in it; a session's row is that of its slot. Other rows may
   *   be anything that the layer takes.
   * @returns The outputs, `[capacity, ...]`; zeros for slots that took no part.
   */
  step(input: Tree<Tensor>, options?: StepTogetherOptions): Promise<Output>;
}

type Loop = StepLoop<Tree<Tensor>, Tree<Tensor>, Tree<Tensor>>;

/** What the code takes for a step. */
interface Taken {
  readonly input: Tree<Tensor>;
  /** Which slots take part, bool `[capacity]`. */
  readonly active: Tensor;
}

/** A state that a session was given. */
interface Given {
  readonly state: Tree<Tensor> | undefined;
  /** The same as a row, once the input is known. */
  row: Row | undefined;
}

/** A session, and what it was given since its last step. */
interface Member {
  readonly session: StreamsSession;
  given: Given | undefined;
  /** What a step that waits begins with. */
  entering: Given | undefined;
}

/** A session that a step begins, or sets to another state. */
interface Beginning {
  readonly slot: number;
  readonly row: Row;
  readonly member: Member;
  readonly given: Given;
}

/** More than any batch that is stepped together. */
const MOST_SESSIONS = 2 ** 24;

/**
 * Many sessions through one layer or model that are stepped together, as a server does that has a session for
 * each visitor: one call for all of them costs little more than one for a few. Sessions join and leave at any
 * time. Each gets what a stream of its own gives it; a layer that mixes the sequences of a batch, such as one with a
 * mean over the batch, is refused.
 *
 * @param layer Any layer or model that runs forward in time.
 * @param variables Its params and state, the latter on the host; neither is changed. A session begins from the carries in
 *   the state, which are those of batch 1; if there are none it begins with fresh ones.
 * @throws TypeError as `streaming` does, if the layer's carries have no row for each sequence, and if what it
 *   computes for one depends on others.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gru, init, key, spec, streaming, streams, tensor } from "@cellfold/cellfold";
 * const layer = gru({ units: 4, returnSequences: true });
 * const input = spec([1, null, 2]);
 * const variables = init(layer, key(0), input);
 * using together = streams(layer, variables, { capacity: 3, input });
 * const ada = together.join();
 * const ben = together.join();
 * await together.step(tensor([[1, 2], [3, 4], [0, 0]])); // row 0 is Ada's, row 1 is Ben's
 * const before = ben.state;
 * await together.step(tensor([[5, 6], [0, 0], [0, 0]]), { sessions: [ada] });
 * assertEquals(ben.state, before);
 * using alone = streaming(layer, { ...variables, state: ada.state }); // Ada goes on alone
 * ada.leave();
 * assertEquals(together.join(before).slot, 0); // and another comes
 * ```
 */
export function streams<Output>(
  layer: Layer<Output>,
  variables: Variables,
  options: StreamsOptions,
): Streams<MappedTree<Output, HostTensor>>;
export function streams(layer: Layer, variables: Variables, options: StreamsOptions): Streams {
  checkLayer("stream", layer);
  checkVariables("stream", variables);
  checkOptions("streams", options, ["capacity", "input", "device"]);
  const { capacity, device } = options;
  checkCount("open streams", capacity, "capacity", 1, MOST_SESSIONS);
  checkDevice(device);
  const { params } = variables;
  const given = { params, state: checkedState(variables.state) };
  const stateful = statefulLayer(layer);
  const { isSequence, asSequence } = sequencesOf(stateful);
  const checkChunks = chunkChecks(layer, { stateful, params, isSequence });
  const convert = conversion(layer, variables, capacity);
  const sequence = (input: Tree<Spec>) => asSequence(input, 1);
  const step = stepOf(asSequence);
  const members: (Member | undefined)[] = new Array(capacity).fill(undefined);
  let slots: Slots | undefined;
  /** The state of all slots on the host: where the loop does not have it, or as it was read from there. */
  let onHost: Tree<HostTensor> | undefined;
  let loop: Loop | undefined;
  let compiled: ChunkStep | undefined;
  let isDisposed = false;
  const name = layerName(layer);

  const release = (isLost = false) => {
    loop?.[Symbol.dispose]();
    compiled?.release(isLost);
    loop = compiled = undefined;
  };
  const queue = callQueue(() => {
    if (isDisposed) release();
  });
  const checkOpen = (what: string) => {
    if (isDisposed) throw new Error(`Cannot ${what} streams through ${name} that were disposed; make others`);
  };
  const know = (input: Tree<Spec>): Slots => {
    checkRoom(stateful, params, input, capacity);
    checkChunks(withBatch(input, capacity));
    const known = slotsOf(stateful, given, input, capacity);
    checkApart(stateful, { params, state: known.first }, input);
    onHost = known.first;
    return slots = known;
  };
  if (options.input !== undefined) know(options.input);
  /** The state of all slots; where the loop has it, it stays there as well. */
  const current = (): Tree<HostTensor> => onHost ??= loop?.readState() as Tree<HostTensor>; // one of them has it
  const memberOf = (session: StreamsSession): Member => {
    const member = members[session?.slot];
    if (member?.session === session) return member;
    throw new Error(
      `Cannot use session ${session?.slot} of streams through ${name}: it left, or is one of others`,
    );
  };
  const membersOf = (sessions: Iterable<StreamsSession>): Member[] => {
    if (typeof sessions?.[Symbol.iterator] === "function") return Array.from(sessions, memberOf);
    throw wrongKind(`step streams through ${name}`, sessions, "options.sessions", "an iterable of sessions");
  };
  const give = (member: Member, state: Tree<Tensor> | undefined): void => {
    const own = state === undefined ? undefined : checkedState(state);
    member.given = { state: own, row: slots?.row(own) };
  };
  const join = (state?: Tree<Tensor>): StreamsSession => {
    checkOpen("join");
    const slot = members.indexOf(undefined);
    if (slot < 0) {
      throw new RangeError(
        `Cannot join streams through ${name}: all ${capacity} slots are taken; wait until a session leaves, or give more capacity`,
      );
    }
    const session: StreamsSession = {
      slot,
      get state() {
        checkOpen("read a state of");
        const { given, entering } = memberOf(session);
        if (slots) return slots.asState((given ?? entering)?.row ?? slots.read(current(), slot));
        throw new Error(
          "Cannot read the state of the session: there was no step yet; give options.input for the first state",
        );
      },
      set state(state) {
        checkOpen("set a state of");
        give(memberOf(session), state);
      },
      leave: () => {
        memberOf(session);
        members[slot] = undefined;
      },
    };
    const member: Member = { session, given: undefined, entering: undefined };
    give(member, state);
    members[slot] = member;
    return session;
  };
  const loopFor = async (taken: Taken): Promise<Loop> => {
    const input = taken as unknown as Tree<Tensor>; // an object of trees
    if (loop?.accepts(input)) return loop;
    const state = current();
    release();
    compiled = await chunkStep(
      layer,
      (params, before, taken) => {
        const { input, active } = taken as unknown as Taken; // as it was made
        const [output, next] = step(stateful, { params, state: before }, input);
        return [zeroOthers(active, output), selectSlots(active, next, before)];
      },
      { name: "slots", params, state, input, device, isSequence },
    );
    loop = await compiled.begin(params, state, input);
    loop.writeState(state);
    return loop;
  };
  const failed = (error: unknown): unknown => {
    if (!(error instanceof DeviceLost)) return error;
    current();
    release(true);
    return error;
  };
  /** Writes the states that sessions were given. */
  const enter = (known: Slots, beginnings: readonly Beginning[]) => {
    if (beginnings.length === 0) return;
    onHost = known.write(current(), beginnings);
    loop?.writeState(onHost);
    for (const { member, given } of beginnings) if (member.entering === given) member.entering = undefined;
  };
  const stepTogether = (input: Tree<Tensor>, options: StepTogetherOptions): Promise<Tree<Tensor>> => {
    checkOpen("step");
    checkOptions("streams.step", options, ["sessions"]);
    const part = options.sessions === undefined ? members : membersOf(options.sessions);
    const { leaves, paths } = flattenTree<Tensor>(input, "input");
    leaves.forEach((leaf, index) => {
      if (leaf.shape[0] === capacity) return;
      throw new RangeError(
        `Cannot step streams through ${name}: ${printPath(paths[index], "input")} is ${printSpec(leaf)}, ` +
          `expected ${capacity} rows, one for each slot`,
      );
    });
    if (layer.checkInput && isOnHost(input)) checkValues(layer, expanded(asSequence, input));
    const known = slots ?? know(sequence(input));
    const converted = convert(input, sequence);
    const data = new Uint8Array(capacity);
    const beginnings: Beginning[] = [];
    for (const member of part) {
      if (!member) continue; // a free slot
      const { session: { slot }, given } = member;
      data[slot] = 1;
      if (given) beginnings.push({ slot, row: given.row ??= known.row(given.state), member, given });
    }
    const active: HostTensor = { kind: "host", shape: [capacity], dtype: "bool", data };
    for (const { member, given } of beginnings) [member.given, member.entering] = [undefined, given];
    const taken = (input: Tree<Tensor>): Taken => ({ input, active });
    if (loop && queue.waiting === 0 && isOnHost(converted)) {
      const now = taken(converted) as unknown as Tree<Tensor>; // an object of trees
      if (loop.accepts(now)) {
        enter(known, beginnings);
        try {
          const output = loop.run(now);
          if (!(output instanceof Promise)) {
            onHost = undefined;
            return queue.done(output);
          }
          return queue.later(() => finished(output));
        } catch (error) {
          return Promise.reject(failed(error));
        }
      }
    }
    return queue.later(async () => {
      enter(known, beginnings);
      const now = taken(await toHost(converted));
      const loop = await loopFor(now);
      return await finished(loop.run(now as unknown as Tree<Tensor>)); // an object of trees
    });
  };
  const finished = async (output: Tree<Tensor> | Promise<Tree<Tensor>>): Promise<Tree<Tensor>> => {
    try {
      return await output;
    } catch (error) {
      throw failed(error);
    } finally {
      if (loop) onHost = undefined;
    }
  };
  return {
    capacity,
    get sessions() {
      return members.flatMap((member) => member ? [member.session] : []);
    },
    join,
    step: (input, options = {}) => {
      try {
        return stepTogether(input, options);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    [Symbol.dispose]: () => {
      isDisposed = true;
      if (queue.waiting === 0) release();
    },
  };
}
