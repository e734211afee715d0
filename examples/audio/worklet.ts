/**
 * The audio worklet of the example. Its processor computes each block at once, on the audio thread, from the
 * browser's array into the browser's array: nothing is awaited and nothing is allocated. It has one thread, as
 * worklets cannot start others.
 */
import { type Stream, streaming, type Variables } from "@cellfold/cellfold";
import { BLOCK, effect, type Message, PROCESSOR, sound } from "./effect.ts";

/** What a browser gives a worklet; Deno has no types for it. */
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

/** By input or output, then by channel: the samples of a block. */
type Channels = readonly (readonly Float32Array[])[];

class RecurrentEffect extends AudioWorkletProcessor {
  #stream: Stream | undefined;
  #blocks = 0;
  #late = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.kind === "blocks") this.#send({ kind: "blocks", blocks: this.#blocks, late: this.#late });
      if (data.kind === "variables") {
        this.#open(data.variables).then(
          () => this.#send({ kind: "ready" }),
          (error) => this.#send({ kind: "failed", message: String(error) }),
        );
      }
    };
  }

  #send(message: Message): void {
    this.port.postMessage(message);
  }

  /** Compiles, once; until then the effect is silent. */
  async #open(variables: Variables): Promise<void> {
    const stream = streaming(effect(), variables, { input: sound, device: { name: "wasm", threads: 1 } });
    await stream.ready();
    this.#stream = stream;
  }

  process([[input]]: Channels, [[output]]: Channels): boolean {
    if (!this.#stream || !input) return true; // not ready, or nothing is connected
    const began = Date.now();
    this.#stream.step(input, output);
    this.#blocks++;
    if (Date.now() - began > Math.ceil(1000 * BLOCK / sampleRate)) this.#late++; // this clock has whole milliseconds
    return true;
  }
}

registerProcessor(PROCESSOR, RecurrentEffect);
