/**
 * Whether threads may divide the rows of a scan among them: every kernel of its body must compute each row of
 * the batch from that row alone, so that no thread waits for another inside the loop.
 */
import { addDims, type Dim, isAtMost, multiplyDims } from "../../src/tensor/dims.ts";
import type { KernelFunctions } from "./kinds/kind.ts";
import type { Buffer, View } from "./views.ts";

/** How many rows the kernels can divide; 0 if they cannot. */
export function rowsOf<Kernel>(
  body: readonly Kernel[],
  { readsOf, writesOf, isRowWise }: KernelFunctions<Kernel>,
): Dim {
  /** The distance between the rows of the buffers that are written. */
  const written = new Map<Buffer, Dim>();
  const writes = body.flatMap(writesOf);
  const rows = writes[0]?.shape[0] ?? 0;
  if (rows === 0 || rows === 1) return 0;
  for (const { buffer, shape, strides } of writes) {
    const stride = strides[0] ?? 0;
    if (shape[0] !== rows || !isAtMost(1, stride)) return 0;
    const known = written.get(buffer);
    if (known !== undefined && known !== stride) return 0;
    written.set(buffer, stride);
  }
  // A view stays in its row if axis 0 steps from row to row and the other axes do not leave the row.
  const staysInRow = (view: View): boolean => {
    const stride = written.get(view.buffer);
    if (stride === undefined) return true;
    if (view.shape[0] !== rows || view.strides[0] !== stride) return false;
    let low = typeof view.offset === "number" && typeof stride === "number"
      ? view.offset % stride
      : view.offset;
    let high = low;
    for (let axis = 1; axis < view.shape.length; axis++) {
      if (view.shape[axis] === 0) continue;
      const reach = multiplyDims(view.strides[axis], addDims(view.shape[axis], -1));
      if (isAtMost(0, reach)) high = addDims(high, reach);
      else if (isAtMost(reach, 0)) low = addDims(low, reach);
      else return false;
    }
    return isAtMost(0, low) && isAtMost(addDims(high, 1), stride);
  };
  const here = { rows, isWritten: (buffer: Buffer) => written.has(buffer) };
  const isApart = (kernel: Kernel) =>
    [...readsOf(kernel), ...writesOf(kernel)].every(staysInRow) && isRowWise(kernel, here);
  return body.every(isApart) ? rows : 0;
}
