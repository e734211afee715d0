/**
 * What generation needs of a model: one step as a function of its state and the last tokens. The step is that of
 * a stream, so that whatever a stream refuses is refused here too. generate.ts and beam_search.ts put it in a
 * loop that is compiled.
 */
import { checkCount, isObject, wrongKind } from "../../describe.ts";
import { select } from "../../operations/elementwise.ts";
import { isFloat } from "../../operations/infer.ts";
import { logitsOf } from "../../operations/logits.ts";
import { at, reshape } from "../../operations/structure.ts";
import { outputSpecs } from "../../program/functions.ts";
import { checkKey } from "../../tensor/keys.ts";
import {
  type DeviceTensor,
  type HostTensor,
  hostTensor,
  isLeaf,
  isTensor,
  printSpec,
  type Spec,
  type Tensor,
} from "../../tensor/tensor.ts";
import { checkDevice, type Device, DeviceLost } from "../../transforms/devices.ts";
import { toHost } from "../../tree/to_host.ts";
import { type Tree, treeLeaves, zipLike } from "../../tree/tree.ts";
import { checkLayer, checkVariables } from "../checks.ts";
import { chunkChecks } from "../chunks.ts";
import { layerName } from "../define.ts";
import type { Layer, Variables } from "../layer.ts";
import type { LoopContext } from "./loops.ts";
import { firstState, isCarryState, statefulLayer } from "../stateful.ts";
import { isStream, type StreamSource, streamSource } from "../stream_source.ts";

/** A model at the beginning of a loop. */
export interface Stepwise extends LoopContext {
  /** Stateful. */
  readonly layer: Layer;
  readonly params: Tree<Tensor>;
  readonly state: Tree<HostTensor>;
  readonly prompt: HostTensor;
  /** The number of sequences. */
  readonly batch: number;
  /** The number of logits. */
  readonly vocabulary: number;
}

/** The results of a loop, with the state to go on from. */
interface Advanced {
  readonly state: Tree<HostTensor>;
}

/** What both ways of calling share. */
export interface PromptOptions {
  /** int32 `[batch, time]`, at least one token: what comes before. */
  readonly prompt: Tensor;
  /** How many tokens are generated at most. */
  readonly steps: number;
  /** A token, or several, after which a sequence ends. */
  readonly stop?: number | readonly number[];
}

/**
 * Runs a loop from the state of a stream, which continues from its end, or of variables.
 *
 * @param what What cannot be done in errors, such as `generate`.
 */
export async function withStepwise<Result extends Advanced>(
  what: string,
  source: readonly [model: unknown, variables?: unknown],
  prompt: unknown,
  device: Device | undefined,
  run: (start: Stepwise) => Promise<Result>,
): Promise<Result> {
  const [model, variables] = source;
  if (isStream(model)) {
    if (device !== undefined) {
      throw new TypeError(`Cannot ${what} with options.device: a stream has its own; leave it out`);
    }
    const from = streamSource(model);
    const given = checkPrompt(what, prompt, from.batch);
    // Called before anything is waited for, so that the stream's calls keep their order.
    return await from.advance(what, given, async (state) => {
      const tokens = await tokensOf(given, from.layer);
      const result = await letGo(begin(what, { ...from, state }, tokens), run);
      return [result, result.state];
    });
  }
  checkLayer(what, model);
  checkVariables(what, variables);
  checkDevice(device);
  const { params, state } = variables as Variables; // just checked
  const tokens = await tokensOf(checkPrompt(what, prompt, undefined), model);
  const first = firstState(statefulLayer(model), { params, state: await toHost(state) }, tokens);
  const from = { layer: model, params, device, state: await toHost(first) };
  return await letGo(begin(what, from, tokens), run);
}

/** Runs a loop and lets go of what it holds on the device. */
async function letGo<Result>(start: Stepwise, run: (start: Stepwise) => Promise<Result>): Promise<Result> {
  let isLost = false;
  try {
    return await run(start);
  } catch (error) {
    isLost = error instanceof DeviceLost;
    throw error;
  } finally {
    for (const held of start.holds) held.release(isLost);
  }
}

/** The arguments of a call with a stream, or with a model and its variables, taken apart. */
export function splitArguments<Options>(
  what: string,
  model: unknown,
  second: unknown,
  third: unknown,
): { readonly source: readonly [unknown, unknown?]; readonly options: Options } {
  const [source, options] = isStream(model) ? [[model] as const, second] : [[model, second] as const, third];
  if (!isStream(model)) {
    checkLayer(what, model);
    checkVariables(what, second);
  }
  if (!isObject(options)) {
    throw wrongKind(what, options, "the last argument", "options such as { prompt, steps: 20 }");
  }
  return { source, options: options as Options };
}

function checkPrompt(what: string, prompt: unknown, batch: number | undefined): HostTensor | DeviceTensor {
  const expected = `int32[${batch ?? "batch"}, time] with at least one token`;
  if (!isTensor(prompt) || prompt.kind === "traced") {
    throw wrongKind(what, prompt, "options.prompt", expected);
  }
  const { dtype, shape } = prompt;
  const isWrong = dtype !== "int32" || shape.length !== 2 || shape.some((size) => size === 0) ||
    batch !== undefined && shape[0] !== batch;
  if (isWrong) {
    throw new TypeError(`Cannot ${what} from the prompt ${printSpec(prompt)}: expected ${expected}`);
  }
  return prompt;
}

/** The tokens of a prompt, all of which the model accepts. */
async function tokensOf(prompt: HostTensor | DeviceTensor, layer: Layer): Promise<HostTensor> {
  const tokens = prompt.kind === "host" ? prompt : await prompt.read();
  layer.checkInput?.(tokens);
  return tokens;
}

function begin(
  what: string,
  { layer, params, state, device }: Omit<StreamSource, "batch" | "advance"> & {
    readonly state: Tree<HostTensor>;
  },
  prompt: HostTensor,
): Stepwise {
  const stateful = statefulLayer(layer);
  const spec: Spec = { shape: prompt.shape, dtype: prompt.dtype };
  chunkChecks(layer, { stateful, params, isSequence: () => true })(spec);
  const output = outputSpecs(
    (params: Tree<Tensor>, state: Tree<Tensor>, tokens: Tensor) =>
      stateful.apply({ params, state }, tokens, { training: false }).output,
    params,
    state,
    spec as Tensor, // specs stand for tensors
  );
  const vocabulary = vocabularyOf(what, layer, output, prompt.shape);
  try {
    layer.checkInput?.(hostTensor(new Int32Array([vocabulary - 1]), [1, 1], "int32"));
  } catch (error) {
    throw new RangeError(
      `Cannot ${what} with ${layerName(layer)}: it has ${vocabulary} logits, so a token may be ` +
        `${vocabulary - 1}, which it does not accept (${(error as Error).message})`, // the library throws nothing else
    );
  }
  const context: LoopContext = { owner: layer, device, holds: [] };
  return { ...context, layer: stateful, params, state, prompt, batch: prompt.shape[0], vocabulary };
}

/** The number of logits; throws for a model that does not give any. */
function vocabularyOf(what: string, layer: Layer, output: Tree<Spec>, prompt: readonly number[]): number {
  if (isLeaf(output)) {
    const { shape } = output;
    const size = shape.at(-1);
    const fits = shape.length === 2 || shape.length === 3 && shape[1] === prompt[1];
    if (isFloat(output) && fits && shape[0] === prompt[0] && typeof size === "number" && size > 0) {
      return size;
    }
  }
  const given = isLeaf(output) ? printSpec(output) : `${treeLeaves(output).length} tensors`;
  throw new TypeError(
    `Cannot ${what} with ${layerName(layer)}: its output is ${given}, expected one tensor of logits, ` +
      `[batch, time, vocabulary] or [batch, vocabulary]`,
  );
}

/** The logits (`[rows, vocabulary]`) after these tokens (`[rows, time]`), and the state. */
export function stepOfModel(
  { layer, vocabulary }: Pick<Stepwise, "layer" | "vocabulary">,
  variables: Variables,
  tokens: Tensor,
): { readonly logits: Tensor; readonly state: Tree<Tensor> } {
  const { output, state } = layer.apply(variables, tokens, { training: false });
  const all = output as Tensor; // as vocabularyOf checked
  const last = all.shape.length === 3 ? at(all, -1, { axis: 1 }) : all;
  return { logits: reshape(logitsOf(last, "softmax") ?? last, [tokens.shape[0], vocabulary]), state };
}

/** The state after a step, its carries changed by what they were before; what is not carried stays as it is. */
function zipCarries(
  before: Tree<Tensor>,
  after: Tree<Tensor>,
  change: (before: Tensor, after: Tensor) => Tensor,
): Tree<Tensor> {
  if (isCarryState(before)) return zipLike<Tree<Tensor>, Tensor>(before, after, change);
  if (isLeaf(before)) return after;
  const next = (key: string | number) => (after as { readonly [key: string | number]: Tree<Tensor> })[key]; // as the step keeps the structure
  if (Array.isArray(before)) return before.map((part, index) => zipCarries(part, next(index), change));
  return Object.fromEntries(
    Object.entries(before).map(([key, part]) => [key, zipCarries(part, next(key), change)]),
  );
}

/** A state whose carries, which have a row for each of the sequences, are changed. */
export function mapRows(state: Tree<Tensor>, rows: number, change: (x: Tensor) => Tensor): Tree<Tensor> {
  return zipCarries(state, state, (_, x) => x.shape[0] === rows ? change(x) : x);
}

/** The state after a step, except for rows that had ended: these keep theirs. */
export function keepEnded(ended: Tensor, before: Tree<Tensor>, after: Tree<Tensor>): Tree<Tensor> {
  const [rows] = ended.shape;
  return zipCarries(before, after, (old, next) => {
    if (old.shape[0] !== rows) return next;
    return select(reshape(ended, [rows, ...old.shape.slice(1).map(() => 1)]), old, next);
  });
}

/** The tokens after which a sequence ends. */
export function checkStop(what: string, stop: unknown, vocabulary: number): readonly number[] {
  const tokens: readonly unknown[] = stop === undefined ? [] : Array.isArray(stop) ? stop : [stop];
  for (const token of tokens) checkCount(what, token, "options.stop", 0, vocabulary - 1);
  return tokens as readonly number[]; // just checked
}

/** Checks what can be checked before anything is looked at. */
export function checkLoop(what: string, { steps }: PromptOptions, key: unknown = undefined): void {
  checkCount(what, steps, "options.steps");
  if (key !== undefined) checkKey(what, key);
}

/** The number of tokens of each row (`[rows, steps]`), up to and with the one that ends it. */
export function lengthsOf(tokens: Int32Array, steps: number, stop: readonly number[]): Int32Array {
  return Int32Array.from({ length: tokens.length / steps }, (_, row) => {
    const end = tokens.subarray(row * steps, (row + 1) * steps).findIndex((token) => stop.includes(token));
    return end < 0 ? steps : end + 1;
  });
}
