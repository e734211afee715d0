/** Generation of tokens with models that are fed step by step. */
export { beamSearch, type BeamSearchOptions, type BeamSearchResult } from "./beam_search.ts";
export { generate, type Generated, type GenerateOptions } from "./generate.ts";
export type { PromptOptions } from "./stepwise.ts";
