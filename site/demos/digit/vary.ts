/** Varies pictures as hands do: turned, slanted, larger or smaller, moved, thicker. */
import * as cf from "@cellfold/cellfold";

/** How strong each change is at most. */
const TURN = 0.2; // radians
const SLANT = 0.3;
const SCALE = 0.15;
const SHIFT = 1.5; // pixels
const THICKEN = 0.8; // of the ink of the neighbors

/** The value at a place between pixels; paper outside. */
function sample(pixels: ArrayLike<number>, offset: number, side: number, x: number, y: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, lower] = [x - left, y - top];
  const at = (column: number, row: number) =>
    column < 0 || row < 0 || column >= side || row >= side ? 0 : pixels[offset + row * side + column];
  return (1 - lower) * ((1 - right) * at(left, top) + right * at(left + 1, top)) +
    lower * ((1 - right) * at(left, top + 1) + right * at(left + 1, top + 1));
}

/**
 * Pictures, each changed at random.
 *
 * @param images `float32[n, side, side]`, from 0 (paper) to 1 (ink).
 * @param key A random key: the same gives the same pictures.
 */
export function vary({ data, shape }: cf.HostTensor, key: cf.Tensor): cf.HostTensor {
  const [count, side] = shape;
  const random = cf.host(cf.uniform(key, [count, 7], { min: -1, max: 1 })).data;
  const varied = new Float32Array(data.length);
  const middle = (side - 1) / 2;
  for (let i = 0; i < count; i++) {
    const [turn, slant, width, height, right, down, thicker] = random.subarray(7 * i, 7 * i + 7);
    const [cos, sin] = [Math.cos(TURN * turn), Math.sin(TURN * turn)];
    const [scaleX, scaleY] = [1 + SCALE * width, 1 + SCALE * height];
    const thicken = THICKEN * Math.max(0, thicker); // for half of them
    const offset = i * side * side;
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const [dx, dy] = [x - middle - SHIFT * right, y - middle - SHIFT * down];
        const fromX = middle + (cos * dx + sin * dy) / scaleX + SLANT * slant * dy;
        const fromY = middle + (cos * dy - sin * dx) / scaleY;
        let ink = sample(data, offset, side, fromX, fromY);
        if (thicken > 0 && ink < 1) {
          const beside = Math.max(
            sample(data, offset, side, fromX - 1, fromY),
            sample(data, offset, side, fromX + 1, fromY),
            sample(data, offset, side, fromX, fromY - 1),
            sample(data, offset, side, fromX, fromY + 1),
          );
          ink = Math.max(ink, thicken * beside);
        }
        varied[offset + y * side + x] = ink;
      }
    }
  }
  return cf.hostTensor(varied, shape);
}
