/** Running sums along an axis: an invocation sums along a line of its own. */
import type { CumsumKernel } from "../../lowering/kinds/cumsum.ts";
import { addDims } from "../../../src/tensor/dims.ts";
import { sizeOf } from "../../shapes.ts";
import { kept, literal, load, store, unravel } from "./address.ts";
import { elementsInRows, rowsIn, type Site, type WrittenKinds } from "./kind.ts";
import { loop } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";

/** Units of work are rows of the first axis; it is one unit where that is summed along. */
function writeCumsum(
  f: FunctionWriter,
  { input, axis, exclusive, reverse, output }: CumsumKernel,
  { memory }: Site,
): void {
  const { shape, dtype } = output;
  if (sizeOf(shape) === 0) return;
  const names = shape.map((_, axis) => `i${axis}`);
  const lines = shape.toSpliced(axis, 1);
  const sumAlong = (line: string) => {
    f.lines(...unravel(line, lines, names.toSpliced(axis, 1), f.table));
    const sum = f.variable(literal(0, dtype)), lost = f.variable(literal(0, dtype));
    f.count(shape[axis], (index) => {
      const at = names.with(axis, reverse ? f.let(`${f.size(addDims(shape[axis], -1))} - ${index}`) : index);
      const term = f.let(load(input, at, memory));
      if (exclusive) f.line(store(output, at, sum, memory));
      if (dtype === "int32") f.line(`${sum} += ${term};`);
      else {
        // What rounding loses is added with the next term (Kahan, 1965).
        const before = f.let(sum);
        const whole = f.let(`${term} + ${lost}`);
        f.line(`${sum} = ${kept(`${before} + ${whole}`)};`);
        const rest = f.let(`${whole} - ${kept(`${sum} - ${before}`)}`);
        // A sum that is infinite or NaN has lost nothing.
        f.line(`${lost} = select(0f, ${rest}, ${f.use("isFinite")}(${sum}));`);
      }
      if (!exclusive) f.line(store(output, at, sum, memory));
    });
  };
  if (axis > 0) f.overItems(sizeOf(lines.slice(1)), sumAlong);
  else {f.block(`for (var item = lane; item < ${f.size(sizeOf(lines))}; item += lanes)`, () =>
      sumAlong("item"));}
}

/** How the kind is written. */
export const cumsumWriting: WrittenKinds<CumsumKernel> = {
  cumsum: {
    write: writeCumsum,
    units: ({ axis, output: { shape } }) => axis === 0 ? 1 : rowsIn(shape),
    tripCount: ({ axis, output: { shape } }, at) => {
      const lines = shape.toSpliced(axis, 1);
      const count = axis === 0 ? at.sizes.elements(lines) : elementsInRows(lines, at);
      return loop(Math.ceil(count / at.invocations), loop(at.sizes.of(shape[axis])));
    },
  },
};
