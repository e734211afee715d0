/** Whether host tensors have a value for each element. */
import { rowsOf } from "./rows.ts";
import { type HostTensor, printSpec } from "./tensor.ts";

/** Whether there is a value for each element. A tensor is plain data, which anyone can put together. */
export function isFilled(tensor: HostTensor): boolean {
  const { shape, data } = rowsOf(tensor)?.source ?? tensor; // rows are not copied for this
  let size = 1;
  for (let axis = 0; axis < shape.length; axis++) size *= shape[axis];
  return data.length === size;
}

/** Throws a RangeError unless there is a value for each element of a tensor; `place` is where it was given. */
export function checkFilled(tensor: HostTensor, place: () => string): void {
  if (isFilled(tensor)) return;
  const given = rowsOf(tensor)?.source ?? tensor;
  throw new RangeError(
    `Cannot use ${place()}: it is ${
      printSpec(given)
    }, but its data has ${given.data.length} values; make it with ` +
      `hostTensor(data, shape)`,
  );
}
