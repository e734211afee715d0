/** NonZero, of values that are known while tracing: how many there are determines the shape of what it gives. */
import { hostTensor } from "../../../../src/tensor/tensor.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import { knownTensor, type OnnxValue, valueOf } from "../values.ts";

/** The places of all elements that are not 0: an index for each axis, and for each of them. */
function placesOf(inputs: Inputs): OnnxValue {
  const x = knownTensor(given(inputs, 0));
  if (!x) {
    throw new TypeError(
      "how many elements are not 0 is known only at run time, expected constants, or what is computed from sizes",
    );
  }
  const places = Array.from(x.data.keys()).filter((index) => x.data[index] !== 0);
  let step = x.data.length;
  const rows = x.shape.map((size) => {
    step /= size;
    const length = step; // of a row of this axis
    return places.map((place) => Math.floor(place / length) % size);
  });
  return valueOf(hostTensor(Int32Array.from(rows.flat()), [x.shape.length, places.length]));
}

/** The operators of this file. */
export const placeOperators: Operators = {
  NonZero: { attributes: [], inputs: [1, 1], compute: (_, inputs) => [placesOf(inputs)] },
};
