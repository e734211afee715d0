/**
 * Options that may be names or functions, as they are saved; a function is refused when the layer is saved.
 */
import { type ActivationLike, activationName } from "../operations/activations.ts";
import { type InitializerLike, initializerToJson } from "./initializers.ts";
import { functionOption, type Json } from "./json.ts";

/** An activation as it is saved. */
export function activationOption(owner: string, option: string, activation: ActivationLike): Json {
  return activationName(activation) ?? functionOption(owner, option);
}

/** An initializer as it is saved. */
export function initializerOption(owner: string, option: string, initializer: InitializerLike): Json {
  return initializerToJson(initializer) ?? functionOption(owner, option);
}
