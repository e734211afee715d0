/** Running sums along an axis. */
import type { CumsumKernel } from "../../lowering/kinds/cumsum.ts";
import { sizeOf } from "../../shapes.ts";
import { elementType, type KernelSource, lastAlong, plus, times } from "./code.ts";
import type { EmittedKinds } from "./kind.ts";
import { overRows } from "./reduce.ts";
import { multiplyDims } from "../../../src/tensor/dims.ts";
import type { View } from "../../lowering/views.ts";

/**
 * Writes the function of a running sum; rows are those of the first axis, or it is one unit of work where that is
 * summed along. Floats are summed in double.
 */
function emitCumsum(f: KernelSource, { input, axis, exclusive, reverse, output }: CumsumKernel): void {
  if (sizeOf(output.shape) === 0) return;
  const first = (view: View) => f.pointer(view, reverse ? lastAlong(view, axis) : view.offset);
  const step = ({ strides }: View) => f.size(multiplyDims(strides[axis], reverse ? -1 : 1));
  const from = first(input), to = first(output), type = elementType(output.dtype);
  const others = <T>(list: readonly T[]) => list.toSpliced(axis, 1);
  const write = (indices: readonly string[]) => {
    const sum = f.name("sum"), k = f.name("k"), x = f.name("x");
    f.line(`${type === "float" ? "double" : type} ${sum} = 0;`);
    f.block(`for (${f.indexType} ${k} = 0; ${k} < ${f.size(output.shape[axis])}; ${k}++)`, () => {
      f.line(
        `const ${type} ${x} = ${from}[${
          plus(f.distance(indices, others(input.strides)), times(k, step(input)))
        }];`,
      );
      const place = `${to}[${plus(f.distance(indices, others(output.strides)), times(k, step(output)))}]`;
      if (exclusive) f.line(`${place} = (${type})${sum};`);
      f.line(`${sum} += ${x};`);
      if (!exclusive) f.line(`${place} = (${type})${sum};`);
    });
  };
  const shape = others(output.shape);
  if (axis === 0) {
    f.loops("i", shape, write);
  } else overRows(f, shape, write);
}

/** How the kind is written. */
export const cumsumEmission: EmittedKinds<CumsumKernel> = {
  cumsum: {
    emit: emitCumsum,
    cut: ({ axis }, { cost }, shareFrom) => ({ grain: 1, singleThreaded: axis === 0 || cost < shareFrom }),
  },
};
