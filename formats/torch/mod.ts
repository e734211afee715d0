/**
 * PyTorch state dicts: the names and layouts of nn.LSTM, GRU, RNN, their cells, Linear, Embedding, LayerNorm and
 * BatchNorm1d, to and from the variables of layers and models. Files are safetensors; those of torch.save and of
 * NumPy are read.
 *
 * @module
 */
export {
  fromTorch,
  type FromTorchOptions,
  type StateDict,
  type TorchOptions,
  toTorch,
} from "./state_dict.ts";
export type { ModuleNames } from "./modules.ts";
export { decodeTorchFile, type TorchFile, type TorchFileOptions } from "./files/torch_file.ts";
export { decodeNpy, decodeNpz, type NpzOptions } from "./files/numpy.ts";
export { NumpyFileError, TorchFileError } from "./files/errors.ts";
