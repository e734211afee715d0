/**
 * PyTorch state dicts: the names and layouts of nn.LSTM, GRU, RNN, Linear, Embedding, LayerNorm and
 * BatchNorm1d, to and from the variables of layers and models. Files are safetensors.
 *
 * @module
 */
export { fromTorch, type StateDict, type TorchOptions, toTorch } from "./state_dict.ts";
export type { ModuleNames } from "./modules.ts";
