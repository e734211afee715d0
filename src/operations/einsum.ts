/** Einstein summation, as a matrix product between two permutations. */
import { checkText } from "../describe.ts";
import { checkTensor } from "../tensor/tensor.ts";
import type { Dim } from "../tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { multiplyDims } from "../tensor/dims.ts";
import { cast, equal, mul } from "./elementwise.ts";
import { iota } from "./indexing.ts";
import { matmul } from "./matmul.ts";
import { reshape, sum, transpose } from "./structure.ts";

/** A tensor whose axes are named by letters. */
interface Labelled {
  readonly x: Tensor;
  readonly labels: string;
}

/** Letters that represent the axes of `...`; equations use lower case. */
const ELLIPSIS_LABELS = "ZYXWVUTSRQ";

function parse(equation: string, operands: readonly Spec[]): { inputs: string[]; output: string } {
  const text = equation.replaceAll(" ", "");
  const [left, right, ...rest] = text.split("->");
  const inputs = left.split(",");
  const fail = (why: string) =>
    new SyntaxError(
      `Cannot compute einsum ${JSON.stringify(equation)} of ${operands.map(printSpec).join(", ")}: ${why}`,
    );
  if (rest.length > 0) throw fail("it has more than one ->");
  if (inputs.length !== operands.length) {
    throw fail(`it names ${inputs.length} operands, ${operands.length} are given`);
  }
  let widest = 0;
  const expanded = inputs.map((labels, index) => {
    if (!/^[a-z]*(\.\.\.)?[a-z]*$/.test(labels)) throw fail(`operand ${index} is ${JSON.stringify(labels)}`);
    const open = operands[index].shape.length - labels.replace("...", "").length;
    if (open < 0 || (open > 0 && !labels.includes("..."))) {
      throw fail(
        `operand ${index} has ${operands[index].shape.length} axes, but ${JSON.stringify(labels)} names ` +
          `${labels.replace("...", "").length}`,
      );
    }
    if (labels.includes("...")) widest = Math.max(widest, open);
    return labels.replace("...", ELLIPSIS_LABELS.slice(0, open).split("").reverse().join(""));
  });
  const ellipsis = ELLIPSIS_LABELS.slice(0, widest).split("").reverse().join("");
  const count = (label: string) => expanded.join("").split(label).length - 1;
  const output = right?.replace("...", ellipsis) ??
    ellipsis +
      [...new Set(expanded.join(""))].filter((label) => /[a-z]/.test(label) && count(label) === 1).sort()
        .join("");
  for (const label of output) {
    if (!expanded.some((labels) => labels.includes(label))) {
      throw fail(`the output's ${label} is in no operand`);
    }
    if (output.split(label).length > 2) throw fail(`the output has ${label} twice`);
  }
  const sizes = new Map<string, Dim>();
  expanded.forEach((labels, index) =>
    [...labels].forEach((label, axis) => {
      const size = operands[index].shape[axis];
      const known = sizes.get(label);
      if (known !== undefined && known !== size) {
        throw fail(`the sizes ${known} and ${size} of ${label} differ`);
      }
      sizes.set(label, size);
    })
  );
  return { inputs: expanded, output };
}

/** Replaces a repeated letter by its diagonal: off-diagonal elements are zeroed and summed away. */
function takeDiagonals({ x, labels }: Labelled): Labelled {
  for (let axis = 0; axis < labels.length; axis++) {
    const other = labels.indexOf(labels[axis], axis + 1);
    if (other < 0) continue;
    const onDiagonal = equal(iota(x.shape, { axis }), iota(x.shape, { axis: other }));
    const diagonal = sum(mul(x, cast(onDiagonal, x.dtype)), { axes: other });
    return takeDiagonals({ x: diagonal, labels: labels.slice(0, other) + labels.slice(other + 1) });
  }
  return { x, labels };
}

/** Sums over the letters that nothing else reads. */
function dropUnread({ x, labels }: Labelled, read: string): Labelled {
  const axes = [...labels].flatMap((label, axis) => read.includes(label) ? [] : [axis]);
  return { x: sum(x, { axes }), labels: [...labels].filter((label) => read.includes(label)).join("") };
}

function permute({ x, labels }: Labelled, order: string): Tensor {
  return transpose(x, { permutation: [...order].map((label) => labels.indexOf(label)) });
}

/** A product without summation: both operands are broadcast to `labels` and multiplied elementwise. */
function outer(a: Labelled, b: Labelled, labels: string): Labelled {
  const spread = (of: Labelled) => {
    const own = [...labels].filter((label) => of.labels.includes(label)).join("");
    const shape = [...labels].map((label) =>
      of.labels.includes(label) ? of.x.shape[of.labels.indexOf(label)] : 1
    );
    return reshape(permute(of, own), shape);
  };
  return { x: mul(spread(a), spread(b)), labels };
}

/** One product of two operands; `read` are the letters that are needed later. */
function contract(a: Labelled, b: Labelled, read: string): Labelled {
  a = dropUnread(a, b.labels + read);
  b = dropUnread(b, a.labels + read);
  const shared = [...a.labels].filter((label) => b.labels.includes(label));
  const batch = shared.filter((label) => read.includes(label)).join("");
  const inner = shared.filter((label) => !read.includes(label)).join("");
  const left = [...a.labels].filter((label) => !b.labels.includes(label)).join("");
  const right = [...b.labels].filter((label) => !a.labels.includes(label)).join("");
  if (inner === "") {
    return outer(a, b, right === "" ? a.labels : left === "" ? b.labels : batch + left + right);
  }
  const dims = (of: Labelled, labels: string) =>
    [...labels].map((label) => of.x.shape[of.labels.indexOf(label)]);
  const size = (of: Labelled, labels: string) =>
    dims(of, labels).reduce<Dim>((n, dim) => multiplyDims(n, dim), 1);
  const leading = dims(a, batch);
  const [m, k, n] = [size(a, left), size(a, inner), size(b, right)];
  // An operand that is already transposed is multiplied without moving it.
  const transposeLeft = a.labels === batch + inner + left && left !== "";
  const transposeRight = b.labels === batch + right + inner && right !== "";
  const product = matmul(
    reshape(permute(a, transposeLeft ? a.labels : batch + left + inner), [
      ...leading,
      ...(transposeLeft ? [k, m] : [m, k]),
    ]),
    reshape(permute(b, transposeRight ? b.labels : batch + inner + right), [
      ...leading,
      ...(transposeRight ? [n, k] : [k, n]),
    ]),
    { transposeLeft, transposeRight },
  );
  return {
    x: reshape(product, [...leading, ...dims(a, left), ...dims(b, right)]),
    labels: batch + left + right,
  };
}

/**
 * Einstein summation: axes are named by lower-case letters, and those absent from the output are summed.
 *
 * @param equation Such as `"bi,io->bo"`; `...` stands for any leading axes; without `->` the output has the
 *   letters that occur once, sorted.
 * @param operands One tensor per part of the equation; several are contracted from left to right.
 * @throws SyntaxError naming the letter or operand that does not fit.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { einsum, tensor, toNested } from "@cellfold/cellfold";
 * const y = einsum("bi,io->bo", tensor([[1, 2]]), tensor([[1, 0], [0, 1]]));
 * assertEquals(toNested(y), [[1, 2]]);
 * ```
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  checkText("compute einsum", equation, "the equation", 'a text such as "ij,jk->ik"');
  operands.forEach((operand, index) => checkTensor("einsum", operand, `operand ${index}`));
  const { inputs, output } = parse(equation, operands);
  const labelled = inputs.map((labels, index) => takeDiagonals({ x: operands[index], labels }));
  const result = labelled.reduce((a, b, index) =>
    contract(a, b, output + labelled.slice(index + 1).map(({ labels }) => labels).join(""))
  );
  const final = dropUnread(result, output);
  return permute(final, output);
}
