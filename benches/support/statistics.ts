/** Statistics of repeated measurements. */

/** The median; the mean of the two middle values if their number is even. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Cannot take the median of no values");
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The slope of the least-squares line through these points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  if (points.length < 2) throw new RangeError(`Cannot fit a line to ${points.length} points`);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const [x, y] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const spread = points.reduce((sum, [xi]) => sum + (xi - x) ** 2, 0);
  if (spread === 0) throw new RangeError(`Cannot fit a line to points that are all at x = ${x}`);
  return points.reduce((sum, [xi, yi]) => sum + (xi - x) * (yi - y), 0) / spread;
}
