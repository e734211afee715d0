/**
 * Whether threads may divide the rows of a scan among them: every kernel of its body must compute each row of
 * the batch from that row alone, so that no thread waits for another inside the loop.
 */
import type { KernelFunctions } from "./kinds/kind.ts";
import type { Buffer, View } from "./views.ts";

/** The distance between the rows of a buffer, and where the first begins. */
interface Rows {
  readonly stride: number;
  readonly offset: number;
}

/** How many rows the kernels can divide; 0 if they cannot. */
export function rowsOf<Kernel>(
  body: readonly Kernel[],
  { readsOf, writesOf, isRowWise }: KernelFunctions<Kernel>,
): number {
  const written = new Map<Buffer, Rows>();
  const writes = body.flatMap(writesOf);
  const rows = writes[0]?.shape[0] ?? 0;
  if (rows < 2) return 0;
  for (const { buffer, shape, strides } of writes) {
    const stride = strides[0] ?? 0;
    if (shape[0] !== rows || stride <= 0) return 0;
    const known = written.get(buffer);
    if (known && known.stride !== stride) return 0;
    written.set(buffer, { stride, offset: 0 });
  }
  // A view stays in its row if axis 0 steps from row to row and the other axes do not leave the row.
  const staysInRow = (view: View): boolean => {
    const found = written.get(view.buffer);
    if (!found) return true;
    if (view.shape[0] !== rows || view.strides[0] !== found.stride) return false;
    let low = view.offset % found.stride, high = low;
    for (let axis = 1; axis < view.shape.length; axis++) {
      const reach = view.strides[axis] * Math.max(0, view.shape[axis] - 1);
      if (reach < 0) low += reach;
      else high += reach;
    }
    return low >= 0 && high < found.stride;
  };
  const here = { rows, isWritten: (buffer: Buffer) => written.has(buffer) };
  const isApart = (kernel: Kernel) =>
    [...readsOf(kernel), ...writesOf(kernel)].every(staysInRow) && isRowWise(kernel, here);
  return body.every(isApart) ? rows : 0;
}
