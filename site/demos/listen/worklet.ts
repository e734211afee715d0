/**
 * The audio worklet of the demo: it runs the model on the browser's audio thread. What the browser gives is brought to the
 * model's rate; each full block is a step, which is made at once and allocates nothing. A report goes to the page now and then.
 */
import { BANDS, BLOCK, open, RATE, type Step } from "./listen.ts";
import { type Order, PROCESSOR, REPORT, type Report } from "./messages.ts";

/** What a browser gives a worklet, for which its types have no names. */
declare const sampleRate: number;
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

/** Steps that are made to know how long one takes, as the clock of a worklet has whole milliseconds. */
const TIMED = 1000;

class Listener extends AudioWorkletProcessor {
  #step: Step | undefined;
  #isOpen = true;
  #late = 0;
  /** The samples of the block so far; the sum of the browser's samples in the next one, and how much is missing. */
  readonly #block = new Float32Array(BLOCK);
  #filled = 0;
  #sum = 0;
  #missing = sampleRate / RATE;
  /** The report so far. */
  #blocks = 0;
  #voice = new Float32Array(REPORT);
  #bands = new Float32Array(REPORT * BANDS);
  #peaks = new Float32Array(REPORT);

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<Order>) => {
      if (data.kind === "close") return this.#close();
      this.#open(data).catch((error) => this.#send({ kind: "failed", message: String(error) }));
    };
  }

  #send(report: Report): void {
    this.port.postMessage(report);
  }

  async #open({ variables }: Order & { readonly kind: "open" }): Promise<void> {
    const step = await open(variables);
    const began = Date.now();
    for (let i = 0; i < TIMED; i++) step.stream.step(this.#block, step.output);
    const milliseconds = (Date.now() - began) / TIMED;
    step.stream.reset();
    this.#step = step;
    this.#send({ kind: "ready", milliseconds });
  }

  #close(): void {
    this.#isOpen = false;
    this.#step?.stream[Symbol.dispose]();
    this.#step = undefined;
  }

  process([[input]]: readonly (readonly Float32Array[])[]): boolean {
    if (!this.#step || !input) return this.#isOpen;
    const began = Date.now();
    for (let i = 0; i < input.length; i++) this.#take(input[i], this.#step);
    if (Date.now() - began > Math.ceil(1000 * input.length / sampleRate)) this.#late++;
    return true;
  }

  /** A sample of the browser: a sample of the model is the mean of those that sound with it. */
  #take(sample: number, step: Step): void {
    let rest = 1;
    while (rest > 0) {
      const part = Math.min(rest, this.#missing);
      this.#sum += part * sample;
      this.#missing -= part;
      rest -= part;
      if (this.#missing > 1e-6) continue;
      this.#block[this.#filled++] = this.#sum * RATE / sampleRate;
      this.#sum = 0;
      this.#missing = sampleRate / RATE;
      if (this.#filled === BLOCK) this.#listen(step);
    }
  }

  #listen({ stream, output }: Step): void {
    stream.step(this.#block, output);
    this.#filled = 0;
    this.#voice[this.#blocks] = output.voice[0];
    this.#bands.set(output.bands, this.#blocks * BANDS);
    let peak = 0;
    for (let i = 0; i < BLOCK; i++) peak = Math.max(peak, Math.abs(this.#block[i]));
    this.#peaks[this.#blocks] = peak;
    if (++this.#blocks < REPORT) return;
    this.#blocks = 0;
    this.#send({
      kind: "heard",
      voice: this.#voice,
      bands: this.#bands,
      peaks: this.#peaks,
      late: this.#late,
    });
  }
}

registerProcessor(PROCESSOR, Listener);
