/**
 * The page of the example: renders a second of sound through a recurrent network in an audio worklet, and
 * compares it with what `predict` gives for all blocks at once. `deno bundle --platform browser` makes
 * `main.js` and `worklet.js`; a page imports the first and calls `render`.
 */
import { type HostTensor, hostTensor, predict } from "@cellfold/cellfold";
import { BLOCK, effect, type Message, PROCESSOR, weights } from "./effect.ts";

/** What a browser gives a page; Deno has no types for it. */
interface AudioBuffer {
  getChannelData(channel: number): Float32Array<ArrayBuffer>;
}
interface AudioNode {
  connect(to: AudioNode): AudioNode;
}
declare class OfflineAudioContext {
  constructor(channels: number, length: number, sampleRate: number);
  readonly audioWorklet: { addModule(url: string): Promise<void> };
  readonly destination: AudioNode;
  createBuffer(channels: number, length: number, sampleRate: number): AudioBuffer;
  createBufferSource(): AudioNode & { buffer: AudioBuffer; start(): void };
  startRendering(): Promise<AudioBuffer>;
}
declare class AudioWorkletNode implements AudioNode {
  constructor(context: OfflineAudioContext, name: string);
  readonly port: MessagePort;
  connect(to: AudioNode): AudioNode;
}

const SAMPLE_RATE = 48_000;

/** What a rendering came to. */
export interface Rendered {
  /** Blocks that the worklet computed, and those that took longer than they sound. */
  readonly blocks: number;
  readonly late: number;
  /** The largest sample, and the largest difference from that of `predict`. */
  readonly loudest: number;
  readonly difference: number;
}

/**
 * Renders a sound that has this many blocks.
 *
 * @param worklet The address of the worklet's module.
 */
export async function render(worklet: string, blocks = 375): Promise<Rendered> {
  const length = blocks * BLOCK;
  const context = new OfflineAudioContext(1, length, SAMPLE_RATE);
  await context.audioWorklet.addModule(worklet);
  const node = new AudioWorkletNode(context, PROCESSOR);
  const variables = weights();
  await answer(node, { kind: "variables", variables }, "ready");

  const source = context.createBufferSource();
  source.buffer = context.createBuffer(1, length, SAMPLE_RATE);
  const samples = source.buffer.getChannelData(0);
  for (let i = 0; i < length; i++) samples[i] = Math.sin(i * i / 40_000) * Math.cos(i / 900); // a swept tone
  source.connect(node).connect(context.destination);
  source.start();
  const before = samples.slice();
  const heard = (await context.startRendering()).getChannelData(0);

  const whole = await predict(effect(), variables, hostTensor(before, [1, blocks, BLOCK]), {
    device: "wasm",
  });
  const { data } = whole as HostTensor; // one output
  let loudest = 0, difference = 0;
  for (let i = 0; i < length; i++) {
    loudest = Math.max(loudest, Math.abs(data[i]));
    difference = Math.max(difference, Math.abs(data[i] - heard[i]));
  }
  const counted = await answer(node, { kind: "blocks", blocks: 0, late: 0 }, "blocks");
  return { blocks: counted.blocks, late: counted.late, loudest, difference };
}

/** Sends a message to the processor, and waits for its answer. */
function answer<Kind extends Message["kind"]>(
  { port }: AudioWorkletNode,
  message: Message,
  kind: Kind,
): Promise<Extract<Message, { readonly kind: Kind }>> {
  return new Promise((resolve, reject) => {
    port.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.kind === "failed") reject(new Error(data.message));
      else if (data.kind === kind) resolve(data as Extract<Message, { readonly kind: Kind }>); // its kind is compared
    };
    port.postMessage(message);
  });
}
