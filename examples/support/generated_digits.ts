/**
 * Handwritten-looking digits from a generator: strokes on a 28×28 grid, for a machine that has no MNIST and no
 * network. A stand-in so that the examples run, not a benchmark: scores on it say nothing about MNIST.
 */
import { type HostTensor, hostTensor } from "../../src/tensor/tensor.ts";
import { threefry2x32 } from "../../src/tensor/threefry.ts";

/** Images `float32[count, 28, 28]` from 0 (paper) to 1 (ink), and labels `int32[count]` from 0 to 9. */
export interface Digits {
  readonly images: HostTensor;
  readonly labels: HostTensor;
}

type Point = readonly [x: number, y: number];
type Stroke = readonly Point[];

const SIZE = 28;

/** Points on an ellipse; angles in degrees, 0 to the right, 90 down the page. */
function arc([x, y]: Point, [radiusX, radiusY]: Point, from: number, to: number): Point[] {
  const steps = Math.max(2, Math.ceil(Math.abs(to - from) / 30));
  return Array.from({ length: steps + 1 }, (_, i) => {
    const angle = (from + (to - from) * i / steps) * Math.PI / 180;
    return [x + radiusX * Math.cos(angle), y + radiusY * Math.sin(angle)];
  });
}

/** How people write each digit, in a box of x and y from -1 to 1, y downwards; each digit in several ways. */
const SHAPES: readonly (readonly (readonly Stroke[])[])[] = [
  [
    [arc([0, 0], [0.62, 1], -90, 270)],
    [arc([0, 0], [0.5, 0.95], -60, 310)],
    [arc([0, 0], [0.72, 0.85], -120, 240)],
  ],
  [
    [[[0, -1], [0, 1]]],
    [[[-0.35, -0.6], [0.05, -1], [0.05, 1]]],
    [[[-0.4, -0.6], [0, -1], [0, 1]], [[-0.4, 1], [0.4, 1]]],
  ],
  [
    [[...arc([0, -0.5], [0.55, 0.5], -160, 50), [-0.6, 1], [0.65, 1]]],
    [[...arc([0, -0.5], [0.55, 0.5], -170, 60), ...arc([-0.35, 0.75], [0.25, 0.22], 0, -300), [0.2, 0.95], [
      0.7,
      0.8,
    ]]],
    [[...arc([0, -0.45], [0.6, 0.5], -120, 40), [-0.5, 0.95], [0.6, 0.9]]],
  ],
  [
    [[...arc([0, -0.5], [0.5, 0.48], -150, 90), ...arc([0, 0.48], [0.6, 0.52], -90, 150)]],
    [[[-0.5, -0.95], [0.5, -0.95], [-0.05, -0.2], ...arc([0, 0.4], [0.58, 0.58], -80, 150)]],
    [[...arc([-0.1, -0.5], [0.55, 0.45], -130, 80), ...arc([-0.1, 0.45], [0.7, 0.5], -80, 130)]],
  ],
  [
    [[[0.25, -1], [-0.65, 0.3], [0.7, 0.3]], [[0.3, -0.4], [0.3, 1]]],
    [[[-0.5, -0.95], [-0.55, 0.05], [0.5, 0.05]], [[0.5, -0.95], [0.45, 1]]],
    [[[0.3, 1], [0.3, -1], [-0.6, 0.35], [0.7, 0.35]]],
  ],
  [
    [[[0.55, -1], [-0.4, -1], [-0.48, -0.15], ...arc([-0.02, 0.38], [0.6, 0.6], -120, 140)]],
    [[[-0.4, -0.95], [-0.45, -0.1], ...arc([-0.05, 0.42], [0.6, 0.55], -110, 150)], [[-0.4, -0.95], [
      0.6,
      -0.9,
    ]]],
    [[...arc([0.3, -0.5], [0.5, 0.5], -70, -180), ...arc([-0.05, 0.4], [0.5, 0.58], -100, 130)]],
  ],
  [
    [[[0.35, -1], [-0.2, -0.55], ...arc([0, 0.45], [0.55, 0.52], -170, 190)]],
    [[[0.1, -1], [-0.4, -0.2], ...arc([0, 0.5], [0.5, 0.5], -180, 160)]],
    [[...arc([0.45, 0.1], [1, 1.1], -100, -185), ...arc([0, 0.5], [0.5, 0.45], 160, -170)]],
  ],
  [
    [[[-0.6, -0.95], [0.6, -0.95], [-0.15, 1]]],
    [[[-0.6, -0.75], [-0.5, -0.98], [0.6, -0.9], [0.1, 0.1], [0, 1]]],
    [[[-0.6, -0.95], [0.6, -0.95], [-0.1, 1]], [[-0.35, 0], [0.5, 0]]],
  ],
  [
    [arc([0, -0.5], [0.48, 0.48], 90, 450), arc([0, 0.48], [0.58, 0.52], -90, 270)],
    [[...arc([0, -0.5], [0.5, 0.5], -30, -230), ...arc([0, 0.5], [0.55, 0.5], -50, 230), [0.4, -0.75]]],
    [arc([0.05, -0.55], [0.4, 0.42], 100, 460), arc([-0.05, 0.42], [0.5, 0.55], -80, 280)],
  ],
  [
    [[...arc([0, -0.45], [0.52, 0.52], 0, -360), [0.48, 1]]],
    [[...arc([-0.05, -0.45], [0.5, 0.5], -20, -340), ...arc([0, 0.35], [0.5, 0.62], -20, 130)]],
    [[...arc([0, -0.5], [0.5, 0.48], 20, -340), [0.5, -0.4], [0.1, 1]]],
  ],
];

/**
 * Draws `count` digits, each of a random class in a random hand: way of writing, slant, turn, width, height, place,
 * pen and wobble.
 *
 * @param key A random key, `int32[2]`. Digit `i` depends on the key and `i` alone, not on `count`.
 * @param count How many.
 */
export function generatedDigits(key: HostTensor, count: number): Digits {
  if (!Number.isInteger(count) || count < 0) {
    throw new RangeError(`Cannot generate digits: count is ${count}, expected a whole number from 0`);
  }
  if (key.dtype !== "int32" || key.data.length !== 2) {
    throw new TypeError(`Cannot generate digits: the key is ${key.dtype}[${key.shape}], expected int32[2]`);
  }
  const images = new Float32Array(count * SIZE * SIZE);
  const labels = new Int32Array(count);
  const [key0, key1] = key.data;
  for (let i = 0; i < count; i++) {
    const random = uniform(threefry2x32(key0, key1, i, 0));
    labels[i] = Math.floor(random() * SHAPES.length);
    drawSample(images.subarray(i * SIZE * SIZE, (i + 1) * SIZE * SIZE), labels[i], random);
  }
  return { images: hostTensor(images, [count, SIZE, SIZE]), labels: hostTensor(labels, [count]) };
}

/** Numbers from 0 to below 1, of one key. */
function uniform([key0, key1]: readonly [number, number]): () => number {
  let counter = 0;
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const second = spare;
      spare = undefined;
      return second;
    }
    const [first, second] = threefry2x32(key0, key1, counter++, 0);
    spare = (second >>> 0) / 2 ** 32;
    return (first >>> 0) / 2 ** 32;
  };
}

function drawSample(image: Float32Array, label: number, random: () => number): void {
  const between = (low: number, high: number) => low + (high - low) * random();
  const ways = SHAPES[label];
  const strokes = ways[Math.floor(random() * ways.length)];
  const turn = between(-0.25, 0.25);
  const slant = between(-0.35, 0.45);
  const width = between(5, 8.5);
  const height = between(7, 10.5);
  const centre: Point = [SIZE / 2 + between(-2.5, 2.5), SIZE / 2 + between(-2.5, 2.5)];
  const pen = between(0.8, 2.1);
  const ink = between(0.75, 1);
  const wobble = between(0.2, 0.9);
  const [bendX, bendY] = [between(-0.15, 0.15), between(-0.15, 0.15)];
  const [cosine, sine] = [Math.cos(turn), Math.sin(turn)];

  const place = ([px, py]: Point): Point => {
    const x = width * (px + bendX * py * py - slant * py) + between(-wobble, wobble);
    const y = height * (py + bendY * px * px) + between(-wobble, wobble);
    return [centre[0] + cosine * x - sine * y, centre[1] + sine * x + cosine * y];
  };
  for (const stroke of strokes) {
    const points = stroke.map(place);
    for (let i = 1; i < points.length; i++) drawSegment(image, points[i - 1], points[i], pen, ink);
  }
}

/** Inks every pixel by its distance from the segment, with a soft edge one pixel wide. */
function drawSegment(image: Float32Array, [ax, ay]: Point, [bx, by]: Point, pen: number, ink: number): void {
  const reach = pen + 0.5;
  const [dx, dy] = [bx - ax, by - ay];
  const squaredLength = dx * dx + dy * dy || 1;
  const right = Math.min(SIZE - 1, Math.floor(Math.max(ax, bx) + reach));
  const bottom = Math.min(SIZE - 1, Math.floor(Math.max(ay, by) + reach));
  for (let y = Math.max(0, Math.floor(Math.min(ay, by) - reach)); y <= bottom; y++) {
    for (let x = Math.max(0, Math.floor(Math.min(ax, bx) - reach)); x <= right; x++) {
      const [px, py] = [x + 0.5 - ax, y + 0.5 - ay]; // a pixel is where its middle is
      const along = Math.min(1, Math.max(0, (px * dx + py * dy) / squaredLength));
      const distance = Math.sqrt((px - along * dx) ** 2 + (py - along * dy) ** 2);
      const shade = ink * Math.min(1, Math.max(0, reach - distance));
      if (shade > image[y * SIZE + x]) image[y * SIZE + x] = shade;
    }
  }
}
