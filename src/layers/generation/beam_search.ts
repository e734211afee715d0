/** Searches for the most probable sequences of tokens, several at a time, whose states fork and end. */
import { checkCount } from "../../describe.ts";
import { checkOptions } from "../../option_names.ts";
import { add, div, equal, mul, or, select, sub } from "../../operations/elementwise.ts";
import { gather, iota } from "../../operations/indexing.ts";
import { logSoftmax } from "../../operations/reduction.ts";
import { topK } from "../../operations/sorting.ts";
import { expandDims, reshape } from "../../operations/structure.ts";
import { scan } from "../../scan.ts";
import { type HostTensor, hostTensor, type Tensor } from "../../tensor/tensor.ts";
import type { Device } from "../../transforms/devices.ts";
import type { Tree } from "../../tree/tree.ts";
import type { Layer, Variables } from "../layer.ts";
import { checkRows } from "../slots.ts";
import type { Stream } from "../stream.ts";
import { isOneOf } from "./generate.ts";
import { type OpenAxis, runLoop } from "./loops.ts";
import {
  checkLoop,
  checkStop,
  keepEnded,
  lengthsOf,
  mapRows,
  type PromptOptions,
  splitArguments,
  stepOfModel,
  type Stepwise,
  withStepwise,
} from "./stepwise.ts";

/** Options of {@linkcode beamSearch}. */
export interface BeamSearchOptions extends PromptOptions {
  /** How many sequences are followed for each prompt; default 4. */
  readonly beams?: number;
  /** The backend by name; default `auto`. Not with a stream, which has its own. */
  readonly device?: Device;
}

/** What was found, the most probable first. */
export interface BeamSearchResult {
  /** int32 `[batch, beams, steps]`, without the prompt; after a stop token, that token is repeated. */
  readonly tokens: HostTensor;
  /** int32 `[batch, beams]`: the number of tokens, with the stop token. */
  readonly lengths: HostTensor;
  /** `[batch, beams]`: the sums of the logarithms of the tokens' probabilities. */
  readonly scores: HostTensor;
  /** The state of the first beam of each prompt, as that of `generate`. */
  readonly state: Tree<HostTensor>;
}

/** With `stop`, how many steps are made between two looks at whether all beams have ended. */
const STEPS_BETWEEN_LOOKS = 64;

/**
 * Beam search: after each step, of all continuations of the sequences that are followed the `beams` most probable
 * ones are followed on, as `topK` finds them. A sequence whose last token is a stop token stays as it is and
 * competes with its score. The loop over the steps is one call of a compiled function (with `stop`, one per 64
 * steps), in which the states of the model are forked by gathering their rows.
 *
 * Per step it costs the model's step for `batch · beams` rows and `topK` of `beams · vocabulary` scores.
 *
 * @param model A model as for `generate`, or a stream through it, which goes on from its state, and later calls
 *   of it from that of the first beam.
 * @throws TypeError if the model cannot be fed in chunks, or does not give logits; RangeError for a number out
 *   of range, such as more beams than tokens in the vocabulary.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { beamSearch, dense, embedding, init, key, lstm, sequential, spec, tensor } from "@cellfold/cellfold";
 * const model = sequential([
 *   embedding({ inputDim: 10, outputDim: 4 }),
 *   lstm({ units: 8, returnSequences: true }),
 *   dense({ units: 10 }),
 * ]);
 * const variables = init(model, key(0), spec([null, null], "int32"));
 * const prompt = tensor([[1, 2, 3]], { dtype: "int32" });
 * const { tokens, scores } = await beamSearch(model, variables, { prompt, steps: 6, beams: 3, stop: 0 });
 * assertEquals(tokens.shape, [1, 3, 6]);
 * assertEquals([...scores.data], [...scores.data].sort((a, b) => b - a));
 * ```
 */
export function beamSearch(stream: Stream, options: BeamSearchOptions): Promise<BeamSearchResult>;
/** The same for a model, from its first state. */
export function beamSearch(
  model: Layer,
  variables: Variables,
  options: BeamSearchOptions,
): Promise<BeamSearchResult>;
export async function beamSearch(
  model: unknown,
  second: unknown,
  third?: unknown,
): Promise<BeamSearchResult> {
  const { source, options } = splitArguments<BeamSearchOptions>("search with beams", model, second, third);
  checkOptions("beamSearch", options, ["prompt", "steps", "beams", "stop", "device"]);
  const { beams = 4, steps } = options;
  checkLoop("search with beams", options);
  return await withStepwise("search with beams", source, options.prompt, options.device, async (start) => {
    checkCount("search with beams", beams, "options.beams", 1, start.vocabulary);
    const stop = checkStop("search with beams", options.stop, start.vocabulary);
    checkRows("search with beams", start.layer, start, start.prompt);
    return await searchFrom(start, { steps, beams, stop });
  });
}

/** The beams of all prompts. */
interface Beams {
  /** The model's, with `batch · beams` rows. */
  readonly state: Tree<Tensor>;
  /** int32 `[batch, beams]`, the last tokens. */
  readonly tokens: Tensor;
  /** `[batch, beams]`. */
  readonly scores: Tensor;
  /** bool `[batch · beams]`. */
  readonly ended: Tensor;
}

interface Search {
  readonly steps: number;
  readonly beams: number;
  readonly stop: readonly number[];
}

async function searchFrom(start: Stepwise, search: Search): Promise<BeamSearchResult> {
  const { batch, prompt, params } = start;
  const { steps, beams, stop } = search;
  const run = <Args extends readonly [Tree<Tensor>, ...unknown[]], Result>(
    name: string,
    fn: (...args: Args) => Result,
    args: Args,
    open: OpenAxis,
  ) => runLoop(start, `${name} ${JSON.stringify([beams, stop])}`, fn, args, [open]);
  let current: Beams = await run("begin beams", begun(start, search), [params, start.state, prompt], {
    argument: 2,
    axis: 1,
    name: "time",
  });
  const chosen = [current.tokens as HostTensor]; // nothing is kept on the device
  const parents: HostTensor[] = [];
  while (chosen.length < steps) {
    if (stop.length > 0 && (current.ended as HostTensor).data.every((isEnded) => isEnded)) break;
    const count = Math.min(steps - chosen.length, stop.length === 0 ? steps : STEPS_BETWEEN_LOOKS);
    const counters = hostTensor(new Int32Array(count), [count], "int32");
    const [made, next] = await run("beams", continued(start, search), [params, current, counters], {
      argument: 2,
      axis: 0,
      name: "steps",
    });
    for (let step = 0; step < count; step++) {
      chosen.push(stepOf(made.tokens as HostTensor, step));
      parents.push(stepOf(made.parents as HostTensor, step));
    }
    current = next;
  }
  const tokens = traced(chosen, parents, steps);
  return {
    tokens: hostTensor(tokens, [batch, beams, steps], "int32"),
    lengths: hostTensor(lengthsOf(tokens, steps, stop), [batch, beams], "int32"),
    scores: current.scores as HostTensor,
    state: mapRows(current.state, batch * beams, (x) => firstBeams(x as HostTensor, beams)) as Tree<
      HostTensor
    >,
  };
}

/** `[batch, beams]` of one step of `[batch, steps, beams]`. */
function stepOf({ data, shape: [batch, steps, beams] }: HostTensor, step: number): HostTensor {
  const values = new Int32Array(batch * beams);
  for (let row = 0; row < batch; row++) {
    for (let beam = 0; beam < beams; beam++) {
      values[row * beams + beam] = data[(row * steps + step) * beams + beam];
    }
  }
  return hostTensor(values, [batch, beams], "int32");
}

/** The sequences (`[batch, beams, steps]`), followed back from their ends; a sequence that ended is filled up. */
function traced(chosen: readonly HostTensor[], parents: readonly HostTensor[], steps: number): Int32Array {
  const [batch, beams] = chosen[0].shape;
  const tokens = new Int32Array(batch * beams * steps);
  for (let row = 0; row < batch * beams; row++) {
    const first = row - row % beams;
    let at = row;
    for (let step = chosen.length - 1; step >= 0; step--) {
      tokens[row * steps + step] = chosen[step].data[at];
      if (step > 0) at = first + parents[step - 1].data[at];
    }
    tokens.fill(tokens[row * steps + chosen.length - 1], row * steps + chosen.length, (row + 1) * steps);
  }
  return tokens;
}

/** Every `beams`-th row. */
function firstBeams({ data, shape, dtype }: HostTensor, beams: number): HostTensor {
  const [rows, ...rest] = shape;
  const size = data.length / rows;
  const kept = data.slice(0, data.length / beams);
  for (let row = 0; row < rows / beams; row++) {
    kept.set(data.subarray(row * beams * size, (row * beams + 1) * size), row * size);
  }
  return hostTensor(kept, [rows / beams, ...rest], dtype);
}

/** The function from a prompt to the first beams. */
function begun(start: Stepwise, { beams, stop }: Search) {
  const rows = start.batch * beams;
  return (params: Tree<Tensor>, state: Tree<Tensor>, prompt: Tensor): Beams => {
    const { logits, state: next } = stepOfModel(start, { params, state }, prompt);
    const { values: scores, indices: tokens } = topK(logSoftmax(logits), { k: beams });
    const parent = div(iota([rows]), beams);
    return {
      state: mapRows(next, start.batch, (x) => gather(x, parent)),
      tokens,
      scores,
      ended: isOneOf(reshape(tokens, [rows]), stop),
    };
  };
}

/** The function from beams to those after some steps, with the tokens and parents of each step. */
function continued(start: Stepwise, { beams, stop }: Search) {
  const { batch, vocabulary } = start;
  const rows = batch * beams;
  const step = (params: Tree<Tensor>, { state, tokens, scores, ended }: Beams) => {
    const last = reshape(tokens, [rows, 1]);
    const { logits, state: next } = stepOfModel(start, { params, state }, last);
    // What has ended has one continuation, which is certain: its last token.
    const stays = select(equal(iota([1, vocabulary]), last), 0, -Infinity);
    const ofTokens = select(expandDims(ended, 1), stays, logSoftmax(logits));
    const all = add(reshape(scores, [rows, 1]), ofTokens);
    const best = topK(reshape(all, [batch, beams * vocabulary]), { k: beams });
    const parents = div(best.indices, vocabulary);
    const chosen = sub(best.indices, mul(parents, vocabulary));
    const parentRows = reshape(add(mul(iota([batch, 1], { axis: 0 }), beams), parents), [rows]);
    const fork = (x: Tensor) => gather(x, parentRows);
    const kept = stop.length === 0 ? next : keepEnded(ended, state, next);
    const result: Beams = {
      state: mapRows(kept, rows, fork),
      tokens: chosen,
      scores: best.values,
      ended: or(fork(ended), isOneOf(reshape(chosen, [rows]), stop)),
    };
    return { parents, result };
  };
  return (
    params: Tree<Tensor>,
    from: Beams,
    counters: Tensor,
  ): [made: { readonly tokens: Tensor; readonly parents: Tensor }, beams: Beams] => {
    const [made, last] = scan(
      (carried: Beams, _: Tensor) => {
        const { parents, result } = step(params, carried);
        return [{ tokens: result.tokens, parents }, result];
      },
      from,
      counters,
    );
    return [made, last];
  };
}
