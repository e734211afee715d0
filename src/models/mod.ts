/** Models: composed layers, their variables, summaries, and saving. */
export { sequential } from "./sequential.ts";
export { apply, call, type CallOptions, input, type InputOptions, type Node } from "./nodes.ts";
export { model, type ModelOptions } from "./graph.ts";
export { init } from "./init.ts";
export { countParams, type ParameterCount, summary } from "./summary.ts";
export { fromJson, type FromJsonOptions, toJson } from "./json.ts";
export type { GraphFunction } from "./revive_graph.ts";
export { getWeights, setWeights, type Weight } from "./weights.ts";
