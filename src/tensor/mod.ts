/** Tensors, their sizes and dtypes. */
export { type NestedNumbers } from "./nested.ts";
export {
  type DeviceTensor,
  type DType,
  fixedSize,
  host,
  type HostTensor,
  hostTensor,
  isTensor,
  item,
  printSpec,
  type Spec,
  spec,
  specOf,
  type Tensor,
  tensor,
  toNested,
  type TracedTensor,
  type Values,
} from "./tensor.ts";
export {
  addDims,
  type Bindings,
  type Dim,
  divideDims,
  fixedDim,
  multiplyDims,
  type Shape,
  subtractDims,
  symbol,
  type SymbolicDim,
} from "./dims.ts";
