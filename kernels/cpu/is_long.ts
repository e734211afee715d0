/** Which products have so many terms that both operands are packed block by block. */
import type { View } from "../lowering/views.ts";

/** The number of terms from which both operands are packed block by block. */
const LONG = 512;

/** Whether a product is a long one. */
export function isLongProduct(left: View, right: View): boolean {
  const [rows, terms] = left.shape, columns = right.shape[1];
  return left.shape.length === 2 && (typeof terms !== "number" || terms >= LONG) &&
    typeof rows === "number" && typeof columns === "number" &&
    left.strides[0] === 1 && right.strides[1] === 1;
}
