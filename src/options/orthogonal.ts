/**
 * Orthonormal vectors by the modified Gram-Schmidt process (Björck, 1967), in place: it needs no memory
 * beyond the matrix.
 *
 * In float64 the loss of orthogonality is about 1e-16 times the condition number, which for random normal
 * matrices of some thousand columns is far below the rounding of the float32 weights they become. The factor
 * R has a positive diagonal, so a normal matrix gives a uniformly (Haar) distributed one, without sign
 * corrections (Mezzadri, 2007).
 */

/**
 * Makes `count` vectors orthonormal.
 *
 * @param vectors One vector of `length` after another; overwritten.
 * @param length At least `count`.
 */
export function orthonormalColumns(vectors: Float64Array, length: number, count: number): void {
  const column = (index: number) => vectors.subarray(index * length, (index + 1) * length);
  for (let start = 0; start < count; start += 4) {
    const block = Array.from({ length: Math.min(4, count - start) }, (_, i) => column(start + i));
    for (let done = 0; done < start; done++) {
      if (block.length === 4) removeFromFour(column(done), block);
      else for (const a of block) remove(column(done), a);
    }
    block.forEach((a, index) => {
      for (const q of block.slice(0, index)) remove(q, a);
      normalize(a);
    });
  }
}

/**
 * Subtracts from four vectors their projections on the unit vector `q`; four independent sums keep the
 * processor busy.
 */
function removeFromFour(q: Float64Array, [a, b, c, d]: readonly Float64Array[]): void {
  let [shareA, shareB, shareC, shareD] = [0, 0, 0, 0];
  for (let i = 0; i < q.length; i++) {
    const value = q[i];
    shareA += value * a[i];
    shareB += value * b[i];
    shareC += value * c[i];
    shareD += value * d[i];
  }
  for (let i = 0; i < q.length; i++) {
    const value = q[i];
    a[i] -= value * shareA;
    b[i] -= value * shareB;
    c[i] -= value * shareC;
    d[i] -= value * shareD;
  }
}

/** Subtracts from `a` its projection on the unit vector `q`. */
function remove(q: Float64Array, a: Float64Array): void {
  let share = 0;
  for (let i = 0; i < q.length; i++) share += q[i] * a[i];
  for (let i = 0; i < q.length; i++) a[i] -= q[i] * share;
}

function normalize(a: Float64Array): void {
  let squares = 0;
  for (let i = 0; i < a.length; i++) squares += a[i] * a[i];
  const factor = 1 / Math.sqrt(squares);
  for (let i = 0; i < a.length; i++) a[i] *= factor;
}
