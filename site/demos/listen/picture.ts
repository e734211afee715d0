/** The picture of what was heard: loudness, bands and the probability of a voice, one above the other, over time. */
import { BANDS } from "./listen.ts";

/** Blocks that the picture shows; what comes later begins at the left again. */
export const WIDTH = 1625;

/** What was heard so far, by block. */
export interface History {
  readonly voice: Float32Array;
  readonly bands: Float32Array;
  readonly peaks: Float32Array;
  /** Where the voice of the recording is; empty for a microphone. */
  readonly truth: Float32Array;
  /** Blocks so far; the last `WIDTH` of them are kept. */
  readonly blocks: number;
}

/** Pixels of the picture, and of its parts from top to bottom. */
const PARTS = [{ from: 0, to: 70 }, { from: 80, to: 208 }, { from: 224, to: 320 }] as const;
export const SIZE = { width: 812, height: 330 } as const;

/** Blocks that are left empty in front of the newest one, where old ones are overwritten. */
const GAP = 30;

/** Draws everything anew. `style` is that of the canvas, whose colors follow the page. */
export function draw(context: CanvasRenderingContext2D, history: History, style: CSSStyleDeclaration): void {
  const { width, height } = SIZE;
  const scale = context.canvas.width / width;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const [loudness, spectrum, probability] = PARTS;
  const color = (name: string) => style.getPropertyValue(name);
  const { voice, peaks, truth, blocks } = history;
  const isKept = (block: number) =>
    block < blocks && (blocks <= WIDTH || (block - blocks % WIDTH + WIDTH) % WIDTH >= GAP);
  const column = width / WIDTH;

  context.fillStyle = color("--voice-truth");
  truth.forEach((value, block) =>
    value &&
    context.fillRect(block * column, probability.from, column * 1.5, probability.to - probability.from)
  );
  context.fillStyle = color("--voice-wave");
  const middle = (loudness.from + loudness.to) / 2;
  for (let block = 0; block < WIDTH; block++) {
    if (!isKept(block)) continue;
    const half = Math.max(0.5, Math.sqrt(peaks[block]) * (loudness.to - loudness.from) / 2); // so that what is quiet is seen
    context.fillRect(block * column, middle - half, column, 2 * half);
  }
  drawBands(context, history, isKept, spectrum);
  drawProbability(context, voice, isKept, column, color("--voice-line"));
  context.strokeStyle = color("--voice-axis");
  context.lineWidth = 1;
  for (const { from, to } of PARTS) context.strokeRect(0.5, from + 0.5, width - 1, to - from - 1);
}

function drawBands(
  context: CanvasRenderingContext2D,
  { bands }: History,
  isKept: (block: number) => boolean,
  { from, to }: { readonly from: number; readonly to: number },
): void {
  const image = new ImageData(WIDTH, BANDS);
  for (let block = 0; block < WIDTH; block++) {
    if (!isKept(block)) continue;
    for (let band = 0; band < BANDS; band++) {
      const strength = Math.max(0, Math.min(1, (bands[block * BANDS + band] + 1.5) / 2.4));
      const at = 4 * ((BANDS - 1 - band) * WIDTH + block);
      image.data.set([
        232 - 60 * (1 - strength),
        119 + 60 * strength ** 3,
        34 + 120 * (1 - strength),
        255 * strength ** 1.3,
      ], at);
    }
  }
  const layer = new OffscreenCanvas(WIDTH, BANDS);
  layer.getContext("2d")?.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(layer, 0, from, SIZE.width, to - from);
}

function drawProbability(
  context: CanvasRenderingContext2D,
  voice: Float32Array,
  isKept: (block: number) => boolean,
  column: number,
  color: string,
): void {
  const { from, to } = PARTS[2];
  const [base, height] = [to - 4, to - from - 8];
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.beginPath();
  for (let block = 0, isDown = false; block < WIDTH; block++) {
    if (!isKept(block)) {
      isDown = false;
      continue;
    }
    const [x, y] = [(block + 0.5) * column, base - height * voice[block]];
    if (isDown) context.lineTo(x, y);
    else context.moveTo(x, y);
    isDown = true;
  }
  context.stroke();
}
