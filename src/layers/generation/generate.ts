/** Generates sequences of tokens: the loop over the steps of a model runs on the device. */
import { checkOptions } from "../../option_names.ts";
import { quoted } from "../../quoted.ts";
import { cast, equal, or, select } from "../../operations/elementwise.ts";
import { zeros } from "../../operations/creation.ts";
import { foldIn } from "../../operations/random.ts";
import { max } from "../../operations/reduction.ts";
import { sampleLogits } from "../../operations/sampling.ts";
import { at, concat, expandDims } from "../../operations/structure.ts";
import { scan } from "../../scan.ts";
import { type HostTensor, hostTensor, type Tensor, tensor } from "../../tensor/tensor.ts";
import type { Device } from "../../transforms/devices.ts";
import type { Tree } from "../../tree/tree.ts";
import { checkCount, wrongKind } from "../../describe.ts";
import type { Layer, Variables } from "../layer.ts";
import { checkRows } from "../slots.ts";
import type { Stream } from "../stream.ts";
import { runLoop } from "./loops.ts";
import {
  checkLoop,
  checkStop,
  keepEnded,
  lengthsOf,
  type PromptOptions,
  splitArguments,
  stepOfModel,
  type Stepwise,
  withStepwise,
} from "./stepwise.ts";

/** Options of {@linkcode generate}. */
export interface GenerateOptions extends PromptOptions {
  /** The random key; not needed with temperature 0. */
  readonly key?: Tensor;
  /** What logits are divided by; default 1. With 0 the first largest logit is taken, and nothing is random. */
  readonly temperature?: number;
  /** Draws only from so many tokens with the largest logits; default all. */
  readonly topK?: number;
  /**
   * Draws only from the most probable tokens, of those that `topK` leaves: from a token if those that are more
   * probable have less than this probability together. Above 0, at most 1; default 1, which is all.
   */
  readonly topP?: number;
  /** The backend by name; default `auto`. Not with a stream, which has its own. */
  readonly device?: Device;
}

/** What was generated. */
export interface Generated {
  /** int32 `[batch, steps]`, without the prompt; after a stop token, that token is repeated. */
  readonly tokens: HostTensor;
  /** int32 `[batch]`: the number of tokens, with the stop token. */
  readonly lengths: HostTensor;
  /**
   * The state after all tokens but the last one that counts, for which a call that goes on has it as its prompt.
   */
  readonly state: Tree<HostTensor>;
}

/** With `stop`, how many tokens are generated between two looks at whether all sequences have ended. */
const STEPS_BETWEEN_LOOKS = 64;

/**
 * Generates tokens after a prompt: from the logits of a step one token is drawn, which is the input of the next
 * step. The whole loop is one call of a compiled function (with `stop`, one per 64 tokens), compiled once per
 * batch size for prompts of all lengths and all numbers of steps.
 *
 * Step i draws with `foldIn(key, i)`: of the logits, less their maximum and divided by `temperature`, those that
 * `topK` and then `topP` leave, by `categorical`. With `topK`, a place among `topK(logits, { k }).values` is
 * drawn; what `topP` drops is -∞. A loop of `stream.push(prompt)` and `stream.step(token)` that does this gives
 * the same tokens. If the model ends with a softmax, its logits are used.
 *
 * Per token and row, a vocabulary of n costs a few passes over n besides the model's step, `topP` without
 * `topK` another 40.
 *
 * @param model A model whose input is int32 tokens `[batch, time]` and whose output is logits, `[batch, time,
 *   vocabulary]` or those of the last step; or a stream through it, which goes on from its state, and later
 *   calls of it from the result's.
 * @throws TypeError if the model cannot be fed in chunks, or does not give logits; RangeError for a number out
 *   of range, or a token that the model does not accept.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, embedding, generate, gru, init, key, sequential, spec, tensor } from "@cellfold/cellfold";
 * const model = sequential([
 *   embedding({ inputDim: 10, outputDim: 4 }),
 *   gru({ units: 8, returnSequences: true }),
 *   dense({ units: 10 }),
 * ]);
 * const variables = init(model, key(0), spec([null, null], "int32"));
 * const prompt = tensor([[1, 2, 3], [4, 5, 6]], { dtype: "int32" });
 * const { tokens } = await generate(model, variables, { prompt, steps: 20, key: key(1), temperature: 0.8 });
 * assertEquals(tokens.shape, [2, 20]);
 * ```
 */
export function generate(stream: Stream, options: GenerateOptions): Promise<Generated>;
/** The same for a model, from its first state. */
export function generate(model: Layer, variables: Variables, options: GenerateOptions): Promise<Generated>;
export async function generate(model: unknown, second: unknown, third?: unknown): Promise<Generated> {
  const { source, options } = splitArguments<GenerateOptions>("generate", model, second, third);
  checkOptions("generate", options, [
    "prompt",
    "steps",
    "key",
    "temperature",
    "topK",
    "topP",
    "stop",
    "device",
  ]);
  const { temperature = 1, topP = 1, topK: k } = options;
  const isGreedy = temperature === 0;
  checkLoop("generate", options, isGreedy ? options.key : options.key ?? null);
  checkNumber("temperature", temperature, 0, Infinity);
  checkNumber("topP", topP, 2 ** -149, 1);
  if (k !== undefined) checkCount("generate", k, "options.topK");
  return await withStepwise("generate", source, options.prompt, options.device, async (start) => {
    const stop = checkStop("generate", options.stop, start.vocabulary);
    if (stop.length > 0 && start.batch > 1) {
      checkRows("end one of several sequences", start.layer, start, start.prompt);
    }
    const sampling: SamplingOptions = {
      key: options.key ?? tensor([0, 0], { dtype: "int32" }),
      temperature: isGreedy ? undefined : temperature,
      topK: k === undefined || k >= start.vocabulary ? undefined : k,
      topP: topP === 1 ? undefined : topP,
    };
    return await generateFrom(start, options.steps, stop, sampling);
  });
}

/** How tokens are drawn; what is absent does not restrict. */
interface SamplingOptions {
  readonly key: Tensor;
  readonly temperature: number | undefined;
  readonly topK: number | undefined;
  readonly topP: number | undefined;
}

function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (typeof value !== "number") throw wrongKind("generate", value, `options.${name}`, "a number");
  if (value >= least && value <= most && value < Infinity) return;
  const range = least > 0
    ? "above 0 and at most 1"
    : "0, which takes the largest logit, or a number above it";
  throw new RangeError(`Cannot generate: options.${name} is ${quoted(value)}, expected ${range}`);
}

/** What a loop carries from token to token. */
interface Carried {
  readonly state: Tree<Tensor>;
  /** int32 `[batch]`, the last token. */
  readonly token: Tensor;
  /** bool `[batch]`: which sequences have ended. */
  readonly ended: Tensor;
}

/** The scalars that a loop reads, in the order of a tree. */
interface Scalars {
  readonly key: Tensor;
  readonly temperature?: Tensor;
  readonly topP?: Tensor;
}

async function generateFrom(
  start: Stepwise,
  steps: number,
  stop: readonly number[],
  { key, temperature, topK, topP }: SamplingOptions,
): Promise<Generated> {
  const { batch } = start;
  const scalars: Scalars = {
    key,
    ...(temperature === undefined ? {} : { temperature: tensor(temperature) }),
    ...(topP === undefined ? {} : { topP: tensor(topP) }),
  };
  const loop = loopOf(start, stop, topK);
  const tokens = new Int32Array(batch * steps);
  let { prompt, state } = start;
  let ended = hostTensor(new Uint8Array(batch), [batch], "bool");
  for (let done = 0; done < steps;) {
    const count = stop.length === 0 ? steps : Math.min(steps - done, STEPS_BETWEEN_LOOKS);
    const [first, rest] = countersFrom(done, count);
    const result = await runLoop(
      start,
      `generate ${JSON.stringify([topK ?? null, stop])}`,
      loop,
      [start.params, state, prompt, ended, first, rest, scalars],
      [{ argument: 2, axis: 1, name: "time" }, { argument: 5, axis: 0, name: "steps" }],
    );
    const [made, carried] = result as [HostTensor, { state: Tree<HostTensor>; ended: HostTensor }]; // nothing is kept on the device
    for (let row = 0; row < batch; row++) {
      const ofRow = made.data.subarray(row * count, (row + 1) * count);
      tokens.set(ofRow, row * steps + done);
      tokens.fill(ofRow[count - 1], row * steps + done + count, (row + 1) * steps);
    }
    ({ state, ended } = carried as { state: Tree<HostTensor>; ended: typeof ended });
    prompt = hostTensor(
      Int32Array.from({ length: batch }, (_, row) => made.data[(row + 1) * count - 1]),
      [batch, 1],
      "int32",
    );
    done += count;
    if (ended.data.every((isEnded) => isEnded)) break;
  }
  return {
    tokens: hostTensor(tokens, [batch, steps], "int32"),
    lengths: hostTensor(lengthsOf(tokens, steps, stop), [batch], "int32"),
    state,
  };
}

/** The numbers of the first step and of those after it. */
function countersFrom(first: number, count: number): readonly [first: HostTensor, rest: HostTensor] {
  const rest = Int32Array.from({ length: count - 1 }, (_, index) => first + 1 + index);
  return [hostTensor(new Int32Array([first]), [], "int32"), hostTensor(rest, [count - 1], "int32")];
}

/** The loop as a function: the tokens after a prompt, and what is carried on. */
function loopOf(
  start: Pick<Stepwise, "layer" | "vocabulary">,
  stop: readonly number[],
  topK: number | undefined,
) {
  return (
    params: Tree<Tensor>,
    state: Tree<Tensor>,
    prompt: Tensor,
    ended: Tensor,
    first: Tensor,
    rest: Tensor,
    { key, temperature, topP }: Scalars,
  ): [tokens: Tensor, carried: Pick<Carried, "state" | "ended">] => {
    const step = ({ state, token, ended }: Carried, tokens: Tensor, counter: Tensor): Carried => {
      const { logits, state: next } = stepOfModel(start, { params, state }, tokens);
      const drawn = sampleLogits(foldIn(key, counter), logits, { temperature, topK, topP });
      if (stop.length === 0) return { state: next, token: drawn, ended };
      const chosen = select(ended, token, drawn);
      return {
        state: keepEnded(ended, state, next),
        token: chosen,
        ended: or(ended, isOneOf(chosen, stop)),
      };
    };
    const begun = step({ state, token: at(prompt, -1, { axis: 1 }), ended }, prompt, first);
    const [tokens, last] = scan(
      (carried: Carried, counter: Tensor) => {
        const next = step(carried, expandDims(carried.token, 1), counter);
        return [next.token, next];
      },
      begun,
      rest,
    );
    return [concat([expandDims(begun.token, 1), tokens], { axis: 1 }), {
      state: last.state,
      ended: last.ended,
    }];
  };
}

/** Whether each token is one of some; of none, none is. */
export function isOneOf(tokens: Tensor, some: readonly number[]): Tensor {
  if (some.length === 0) return zeros(tokens.shape, { dtype: "bool" });
  const each = equal(expandDims(tokens, -1), tensor([...some], { dtype: "int32" }));
  return cast(max(cast(each, "int32"), { axes: -1 }), "bool");
}
