/**
 * Voice activity as one streaming model: samples in, the probability of a voice out. A cell of its own keeps the last
 * samples and computes the energies of 32 bands; a GRU follows them. It runs in the page, in an audio worklet, and in Deno.
 */
import {
  add,
  call,
  concat,
  dense,
  gru,
  hostTensor,
  init,
  input,
  key,
  type Layer,
  log,
  matmul,
  model,
  mul,
  type RecurrentCell,
  rnn,
  sequential,
  spec,
  split,
  square,
  type Stream,
  streaming,
  type Tensor,
  type Variables,
  zeros,
} from "@cellfold/cellfold";

/** Samples in a second, and in a block: a block of 8 ms is a step of the model. */
export const RATE = 16_000, BLOCK = 128;
/** Bands of a spectrum, which covers the last four blocks: 32 ms. */
export const BANDS = 32, FRAME = 4 * BLOCK;
/** Frequencies up to 6 kHz, 31.25 Hz apart. */
const BINS = 192;

/** `[FRAME, 2 · BINS]`: cosines and sines below Hann's window, so that a product with a frame is its spectrum. */
function waves(): Tensor {
  const values = new Float32Array(FRAME * 2 * BINS);
  for (let t = 0; t < FRAME; t++) {
    const window = (1 - Math.cos(2 * Math.PI * t / FRAME)) / FRAME;
    for (let bin = 0; bin < BINS; bin++) {
      const angle = 2 * Math.PI * (bin + 1) * t / FRAME;
      values[t * 2 * BINS + bin] = window * Math.cos(angle);
      values[t * 2 * BINS + BINS + bin] = window * Math.sin(angle);
    }
  }
  return hostTensor(values, [FRAME, 2 * BINS]);
}

/** `[2 · BINS, BANDS]`: triangles, evenly spaced on the mel scale (O'Shaughnessy, 1987) from 80 Hz to 6 kHz. */
function triangles(): Tensor {
  const mel = (hertz: number) => 2595 * Math.log10(1 + hertz / 700);
  const [low, high] = [mel(80), mel(RATE / FRAME * BINS)];
  const values = new Float32Array(2 * BINS * BANDS);
  for (let row = 0; row < 2 * BINS; row++) {
    const place = (mel((row % BINS + 1) * RATE / FRAME) - low) / (high - low) * (BANDS + 1) - 1;
    for (let band = 0; band < BANDS; band++) {
      values[row * BANDS + band] = Math.max(0, 1 - Math.abs(place - band));
    }
  }
  return hostTensor(values, [2 * BINS, BANDS]);
}

/** The cell of the bands: its state is the three blocks before, its output the logarithms of the energies. */
function bandsCell(): RecurrentCell<Tensor[], Tensor, Tensor, Tensor> {
  const [spectrum, bands] = [waves(), triangles()];
  return {
    type: "bands",
    options: {},
    initParams: () => [],
    initState: (_, { shape: [batch] }) => zeros([batch, FRAME - BLOCK]),
    step: () => (past, block) => {
      const frame = concat([past, block]);
      const energies = matmul(square(matmul(frame, spectrum)), bands);
      // From -90 dB to 0 dB as about -2 to 2.
      const output = add(mul(log(add(energies, 1e-9)), 0.2), 2.2);
      return [output, concat(split(frame, 4).slice(1))];
    },
  };
}

/** The layer of the bands: `[batch, blocks, BLOCK]` in, `[batch, blocks, BANDS]` out. It has no weights. */
export function bandsLayer(): Layer<Tensor> {
  return rnn(bandsCell(), { returnSequences: true });
}

/** What is trained: from the bands to the probability of a voice, `[batch, blocks, 1]`. */
export function detector(): Layer<Tensor> {
  return sequential([gru({ units: 32, returnSequences: true }), dense({ units: 1, activation: "sigmoid" })]);
}

/** Specs of one sound, block by block. */
export const sound = spec([1, null, BLOCK]);

/** The whole model: from samples to the probability, and to the bands, which the page draws. */
export function listener() {
  const samples = input([null, BLOCK], { name: "samples" });
  const bands = call(bandsLayer(), samples);
  const voice = call(detector(), bands);
  return model({ inputs: samples, outputs: { voice, bands } });
}

/** The variables of the whole model with the weights of the detector, which are all that it has. */
export function withDetector({ params }: Variables): Variables {
  const { params: [none], state } = init(listener(), key(0), sound) as Variables<readonly Tensor[]>;
  return { params: [none, params], state };
}

/** One step: a block in, the probability and the bands out. */
export interface Step {
  readonly stream: Stream;
  readonly output: { readonly voice: Float32Array; readonly bands: Float32Array };
}

/** Opens the model as a stream. A step, `stream.step(block, output)`, is made at once and allocates nothing. */
export async function open(variables: Variables): Promise<Step> {
  const stream = streaming(listener(), variables, { input: sound, device: { name: "wasm", threads: 1 } });
  await stream.ready();
  return { stream, output: { voice: new Float32Array(1), bands: new Float32Array(BANDS) } };
}
