/**
 * Text by characters: a GRU reads a text letter by letter, and the letter drawn from its prediction is the next one that
 * it reads. `training.ts` trains; nothing here touches a page.
 */
import * as cf from "@cellfold/cellfold";
import { decodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";
import { encode } from "./alphabet.ts";

/** The vector that stands for a character, and the share of the hidden state that is dropped while training. */
const [EMBEDDED, DROPPED] = [32, 0.2];

/** A model with what its tokens mean. */
export interface TextModel {
  /** Token `i` is the character `alphabet[i]`. */
  readonly alphabet: readonly string[];
  readonly model: cf.Layer<cf.Tensor>;
  readonly variables: cf.Variables;
}

/** From tokens int32 `[batch, time]` to the logits of each next one `[batch, time, characters]`, with fresh weights. */
export function freshModel(
  alphabet: readonly string[],
  units: number,
  key: cf.Tensor,
  recurrentInitializer: "orthogonal" | "zeros" = "orthogonal",
): TextModel {
  const model = cf.sequential([
    cf.embedding({ inputDim: alphabet.length, outputDim: EMBEDDED }),
    cf.gru({ units, recurrentInitializer, returnSequences: true }),
    cf.dropout({ rate: DROPPED }),
    cf.dense({ units: alphabet.length }),
  ]);
  return { alphabet, model, variables: cf.init(model, key, cf.spec([null, null], "int32")) };
}

/** Reads a file that `site/training/text.ts` wrote. */
export function readModel(file: Uint8Array): TextModel {
  const { tensors, metadata } = decodeSafetensors(file);
  const alphabet: readonly string[] = JSON.parse(metadata.alphabet);
  const fresh = freshModel(alphabet, Number(metadata.units), cf.key(0), "zeros"); // orthogonal ones would take a second
  return { ...fresh, variables: restoreTree(fresh.variables, tensors) };
}

/** How the next character is drawn. */
export interface Drawing {
  /** What logits are divided by; 0 takes the most probable character. */
  readonly temperature: number;
  /** Draws only from so many of the most probable ones. */
  readonly topK: number;
  /** Draws only from the most probable ones that have this probability together. */
  readonly topP: number;
}

/** What is drawn from: the probability of each character, 0 for those that `topK` and then `topP` leave out. */
export function choices(logits: Float32Array, { temperature, topK, topP }: Drawing): Float32Array {
  const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
  const kept = order.slice(0, temperature === 0 ? 1 : topK);
  const weight = (token: number) => Math.exp((logits[token] - logits[order[0]]) / (temperature || 1));
  const wanted = topP * kept.reduce((sum, token) => sum + weight(token), 0);
  const probabilities = new Float32Array(logits.length);
  let total = 0;
  for (const token of kept) {
    if (total >= wanted) break;
    total += probabilities[token] = weight(token);
  }
  return probabilities.map((value) => value / total);
}

/** Options of `write` and `writeAtOnce`. */
export interface Writing extends Drawing {
  readonly device: cf.Device;
  /** How many characters. */
  readonly steps: number;
  readonly seed: number;
}

/** A character that was drawn, and what it was drawn from. */
export interface Written {
  readonly character: string;
  /** The probability of each character of the alphabet, and the token that was drawn. */
  readonly probabilities: Float32Array;
  readonly token: number;
  /** The hidden state that predicted it. */
  readonly hidden: Float32Array;
  /** What the model's step took; of the first one, reading the prompt. */
  readonly milliseconds: number;
}

/** Tokens of what comes before, at least one: a new line, or whatever is most frequent, stands for nothing. */
function promptOf(text: string, alphabet: readonly string[]): cf.Tensor {
  const tokens = encode(text, alphabet);
  return cf.tensor([[...tokens.length > 0 ? tokens : [Math.max(0, alphabet.indexOf("\n"))]]], {
    dtype: "int32",
  });
}

/** Goes on after a prompt, character by character: what one step predicts is drawn, and is what the next step reads. */
export async function* write(
  { alphabet, model, variables }: TextModel,
  prompt: string,
  { device, steps, seed, ...drawing }: Writing,
): AsyncGenerator<Written> {
  using stream = cf.streaming(model, variables, { input: cf.spec([1, null], "int32"), device });
  const key = cf.key(seed);
  let began = performance.now();
  let output = await stream.push(promptOf(prompt, alphabet));
  for (let step = 0; step < steps; step++) {
    const milliseconds = performance.now() - began;
    const logits = Float32Array.from(output.data.subarray(-alphabet.length));
    const probabilities = choices(logits, drawing);
    const logarithms = cf.hostTensor(probabilities.map(Math.log), [alphabet.length]);
    const token = cf.item(cf.categorical(cf.foldIn(key, step), logarithms));
    const [hidden] = cf.treeLeaves<cf.HostTensor>(stream.state); // the GRU's, the only one there is
    yield {
      character: alphabet[token],
      probabilities,
      token,
      hidden: Float32Array.from(hidden.data),
      milliseconds,
    };
    began = performance.now();
    output = await stream.step(cf.tensor([token], { dtype: "int32" }));
  }
}

/** The same in one call: the loop over all characters runs on the device. */
export async function writeAtOnce(
  { alphabet, model, variables }: TextModel,
  prompt: string,
  { seed, topK, ...options }: Writing,
): Promise<string> {
  const { tokens } = await cf.generate(model, variables, {
    ...options,
    prompt: promptOf(prompt, alphabet),
    key: cf.key(seed),
    topK: Math.min(topK, alphabet.length),
  });
  return Array.from(tokens.data, (token) => alphabet[token]).join("");
}
