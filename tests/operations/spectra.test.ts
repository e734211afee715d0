/** Spectra equal those of TensorFlow and librosa (`python/spectra.py` wrote them), on every backend, and have derivatives. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  compile,
  type Device,
  grad,
  host,
  item,
  matmul,
  melFilterbank,
  mfcc,
  mul,
  slice,
  spec,
  spectrogram,
  stft,
  type StftOptions,
  sum,
  type Tensor,
  tensor,
  trace,
} from "../../mod.ts";
import { native } from "../../kernels/native/mod.ts";
import { webgpu } from "../../kernels/webgpu/mod.ts";
import { exampleCount } from "../support/examples.ts";
import { assertGradientAlong, float64, largest, numbersFrom, randomLike } from "./finite_differences.ts";
import expected from "./fixtures/spectra.json" with { type: "json" };

const SAMPLES = 240, RATE = 8000, BINS = 33;
const framing: StftOptions = { frameLength: 50, frameStep: 20, fftLength: 64 };

/** The signals of the fixture: `[2, 240]`. */
function signals(): number[] {
  const one = Array.from(
    { length: SAMPLES },
    (_, n) => Math.sin(0.05 * n) + 0.5 * Math.sin(0.3 * n + n * n / 400),
  );
  const other = one.toReversed().map((value, n) => 0.1 * value * Math.cos(n));
  return [...one, ...other];
}

const inFloat64 = float64(signals(), [2, SAMPLES]);
const inFloat32 = tensor(signals(), { shape: [2, SAMPLES] });

function assertNear(actual: Tensor, wanted: unknown, tolerance: number, what: string): void {
  const numbers = [wanted].flat(4) as number[]; // of a fixture, which has nothing else
  const values = Array.from(host(actual).data);
  assertEquals(values.length, numbers.length, what);
  const scale = Math.max(...numbers.map(Math.abs));
  const worst = Math.max(...values.map((value, i) => Math.abs(value - numbers[i])));
  assert(worst <= tolerance * scale, `${what}: off by ${worst}, of ${scale}`);
}

Deno.test("stft, melFilterbank and mfcc equal TensorFlow's and librosa's in float64", () => {
  const { real, imaginary } = stft(inFloat64, framing);
  assertEquals(real.shape, [2, 10, BINS]);
  const thirds = (x: Tensor) => slice(x, { start: [0, 0, 0], size: [2, 4, BINS], stride: [1, 3, 1] });
  assertNear(thirds(real), expected.real, 1e-7, "real");
  assertNear(thirds(imaginary), expected.imaginary, 1e-7, "imaginary");
  const between = { sampleRate: RATE, mels: 9, lowest: 100, highest: 3800, dtype: "float64" } as const;
  assertNear(
    melFilterbank(BINS, { ...between, slopes: "mel" }),
    expected.tensorflow.bank,
    1e-4,
    "bank of TensorFlow",
  );
  assertNear(melFilterbank(BINS, between), expected.librosa.htk, 1e-7, "bank of librosa");
  const slaney = { sampleRate: RATE, mels: 9, melScale: "slaney", norm: "area" } as const;
  assertNear(
    melFilterbank(BINS, { ...slaney, dtype: "float64" }),
    expected.librosa.slaney,
    1e-7,
    "Slaney's bank",
  );
  const cepstra = mfcc(inFloat64, { ...framing, ...slaney, coefficients: 5, logarithm: "decibels" });
  assertNear(cepstra, expected.librosa.mfcc, 1e-7, "mfcc of librosa");
  const { dtype: _, ...bands } = between;
  const others = mfcc(inFloat64, { ...framing, ...bands, slopes: "mel", coefficients: 5 });
  const first = tensor([Math.SQRT2, 1, 1, 1, 1], { dtype: "float64" });
  assertNear(mul(others, first), expected.tensorflow.mfcc, 1e-4, "mfcc of TensorFlow");
});

const devices: readonly Device[] = ["reference", "wasm", "native", "webgpu"];
const lacking = { native: !await native.available(), webgpu: !await webgpu.available() } as Record<
  string,
  boolean
>;

for (const device of devices) {
  Deno.test({
    name: `stft and mfcc of signals of any length are right on ${device}`,
    ignore: lacking[String(device)] ?? false,
    sanitizeResources: false, // workers outlive a test
    sanitizeOps: false,
    async fn() {
      const bands = { sampleRate: RATE, mels: 9, melScale: "slaney", norm: "area" } as const;
      const options = { ...framing, ...bands, coefficients: 5, logarithm: "decibels" } as const;
      using run = compile((x: Tensor) => [stft(x, framing), mfcc(x, options)] as const, { device });
      for (const from of [0, 100]) {
        const rows = [0, 1].flatMap((row) => signals().slice(row * SAMPLES + from, (row + 1) * SAMPLES));
        const exact = float64(rows, [2, SAMPLES - from]), wanted = stft(exact, framing);
        const [{ real, imaginary }, cepstra] = await run(tensor(rows, { shape: [2, SAMPLES - from] }));
        assertNear(real, Array.from(host(wanted.real).data), 2e-6, "real");
        assertNear(imaginary, Array.from(host(wanted.imaginary).data), 2e-6, "imaginary");
        assertNear(cepstra, Array.from(host(mfcc(exact, options)).data), 2e-5, "mfcc");
      }
    },
  });
}

Deno.test("spectra of open batch and time have as many frames as fit", () => {
  const { program } = trace((x: Tensor) => spectrogram(x, framing), spec([null, null]));
  const [{ shape }] = program.outputs;
  assertEquals(shape.map((dim) => typeof dim), ["object", "object", "number"]);
});

Deno.test("a transform is that of its definition, with every window and length", () => {
  const window = fc.constantFrom("hann", "hamming", "blackman", "rectangular");
  const sizes = fc.record({
    length: fc.integer({ min: 1, max: 9 }),
    step: fc.integer({ min: 1, max: 5 }),
    more: fc.nat(5),
  });
  fc.assert(
    fc.property(window, sizes, fc.integer(), (name, { length, step, more }, seed) => {
      const next = numbersFrom(seed), fftLength = length + more;
      const own = name === "blackman" ? Array.from({ length }, next) : undefined;
      const options = { frameLength: length, frameStep: step, fftLength, window: own ?? name } as const;
      const signal = Array.from({ length: length + 2 * step }, next);
      const { real, imaginary } = stft(float64(signal, [signal.length]), options);
      const weight = (n: number) => {
        const turn = Math.cos(2 * Math.PI * n / length);
        return own ? own[n] : name === "hann" ? (1 - turn) / 2 : name === "hamming" ? 0.54 - 0.46 * turn : 1;
      };
      const bins = Math.floor(fftLength / 2) + 1;
      const at = (part: (angle: number) => number) =>
        [0, 1, 2].flatMap((frame) =>
          Array.from(
            { length: bins },
            (_, k) =>
              Array.from(
                { length },
                (_, n) => weight(n) * signal[frame * step + n] * part(2 * Math.PI * k * n / fftLength),
              )
                .reduce((a, b) => a + b, 0),
          )
        );
      assertNear(real, at(Math.cos), 1e-11 + Number.MIN_VALUE, `${name} real`);
      const imaginaries = at((angle) => -Math.sin(angle));
      const off = Math.max(...imaginaries.map((value, i) => Math.abs(value - host(imaginary).data[i])));
      assert(off < 1e-11, `${name} imaginary: off by ${off}`);
    }),
    { numRuns: exampleCount(60) },
  );
});

Deno.test("the gradients of spectra and cepstra equal differences, and are finite for silence", () => {
  const bands = { sampleRate: 100, mels: 4, coefficients: 3, floor: 1e-3 };
  const short = { frameLength: 8, frameStep: 3 };
  const functions: readonly ((x: Tensor) => Tensor)[] = [
    (x) => spectrogram(x, short),
    (x) => spectrogram(x, { ...short, power: 1 }),
    (x) => mfcc(x, { ...short, ...bands }),
  ];
  functions.forEach((fn, index) => {
    const x = float64(Array.from({ length: 34 }, numbersFrom(index + 1)), [2, 17]);
    const loss = (x: Tensor) => sum(mul(fn(x), fn(x)));
    const gradient = grad(loss)(x);
    assertGradientAlong(
      (x) => item(loss(x)),
      x,
      gradient,
      randomLike(x, 7),
      100 * largest(fn(x)) ** 2,
      `function ${index}`,
    );
    const atSilence = grad((x: Tensor) => sum(fn(x)))(float64(Array(34).fill(0), [2, 17]));
    assertEquals(largest(atSilence), 0);
  });
});

Deno.test("spectra say what is wrong with signals and options", () => {
  const signal = inFloat32;
  assertThrows(
    () => stft(tensor([1, 2, 3]), { frameLength: 4 }),
    RangeError,
    "a frame has 4 samples; pad the signal",
  );
  assertThrows(() => stft(tensor([[[1]]]), { frameLength: 1 }), TypeError, "[batch, time] or [time]");
  assertThrows(() => stft(signal, { frameLength: 50, fftLength: 32 }), RangeError, "fftLength");
  assertThrows(() => stft(signal, { frameLength: 4, window: "han" as "hann" }), RangeError, "hann");
  assertThrows(() => stft(signal, { frameLength: 4, window: [1, 2] }), RangeError, "window has 2 numbers");
  assertThrows(() => stft(signal, { frameLength: 2, window: [1, NaN] }), TypeError, "finite numbers");
  assertThrows(
    () => spectrogram(signal, { ...framing, power: 3 as 2 }),
    RangeError,
    "power is 3, expected 1 or 2",
  );
  assertThrows(() => melFilterbank(BINS, { sampleRate: RATE, highest: 5000 }), RangeError, "highest is 5000");
  assertThrows(() => melFilterbank(BINS, { sampleRate: 0 }), RangeError, "sampleRate is 0");
  assertThrows(() => melFilterbank(1, { sampleRate: RATE }), RangeError, "bins");
  assertThrows(
    () => mfcc(signal, { ...framing, sampleRate: RATE, mels: 9, coefficients: 10 }),
    RangeError,
    "coefficients",
  );
  assertThrows(() => mfcc(signal, { ...framing, sampleRate: RATE, floor: 0 }), RangeError, "floor is 0");
});

Deno.test("a filterbank gathers all power of a band, and nothing at 0 Hz", () => {
  const bank = melFilterbank(257, { sampleRate: 16000, dtype: "float64" });
  assertEquals(bank.shape, [257, 40]);
  const { data } = host(matmul(float64(Array(257).fill(1), [1, 257]), bank));
  assert(
    data.every((width, band) =>
      Number(width) > 0 && (band === 0 || Number(width) >= 0.9 * Number(data[band - 1]))
    ),
  );
  assert(Array.from(host(bank).data.slice(0, 40)).every((value) => value === 0));
});
