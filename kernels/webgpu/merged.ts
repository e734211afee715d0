/**
 * Kernels with fewer axes: neighboring axes that are as good as one become one, where that spares divisions by
 * open sizes, which are slow. Batch and time, for example, are one axis of the rows of a sequence.
 */
import { multiplyDims } from "../../src/tensor/dims.ts";
import type { Kernel } from "../lowering/kernels.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import type { View } from "../lowering/views.ts";

/** The kernels with fewer axes. */
export function mergeAxes(kernels: readonly Kernel[]): Kernel[] {
  return kernels.map((kernel): Kernel => {
    switch (kernel.kind) {
      case "scan":
        // The first axis in it has the rows of the scan.
        return {
          ...kernel,
          body: kernel.body.map((each) => each.kind === "reduce" ? mergeReduced(each) : each),
        };
      case "reduce":
        return mergeReduced(kernel);
      default:
        if (!("indices" in kernel)) return kernel;
        return "updates" in kernel ? mergeIndices(kernel, "updates") : mergeIndices(kernel, "output");
    }
  });
}

/** Whether an axis and the next one are as good as one. */
function runsOn({ shape, strides }: View, axis: number): boolean {
  return strides[axis] === multiplyDims(strides[axis + 1], shape[axis + 1]);
}

/** The view with an axis and the next one as one. */
function mergeAxis(view: View, axis: number): View {
  const { shape, strides } = view;
  return {
    ...view,
    shape: shape.toSpliced(axis, 2, multiplyDims(shape[axis], shape[axis + 1])),
    strides: strides.toSpliced(axis, 1),
  };
}

/** A reduction over as few axes as possible. */
function mergeReduced(kernel: ReduceKernel): ReduceKernel {
  const { input, axes } = kernel;
  const axis = axes.find((axis) => axes.includes(axis + 1) && runsOn(input, axis));
  if (axis === undefined) return kernel;
  const merged = axes.filter((each) => each !== axis + 1).map((each) => each > axis ? each - 1 : each);
  return mergeReduced({ ...kernel, input: mergeAxis(input, axis), axes: merged });
}

/** A kernel with one axis of indices, if these and `name`, whose first axes are theirs, allow it. */
function mergeIndices<
  Name extends string,
  K extends { readonly indices: View } & { readonly [N in Name]: View },
>(
  kernel: K,
  name: Name,
): K {
  const other: View = kernel[name];
  if (kernel.indices.shape.length < 2 || !runsOn(kernel.indices, 0) || !runsOn(other, 0)) return kernel;
  return mergeIndices(
    { ...kernel, indices: mergeAxis(kernel.indices, 0), [name]: mergeAxis(other, 0) },
    name,
  );
}
