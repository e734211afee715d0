/** Options as data: what a model's JSON stores for its cells and layers. */

import { checkText } from "../describe.ts";

/** Plain JSON values: the options of a layer as they are saved. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The options of a layer or cell as they are saved. */
export type JsonOptions = { readonly [key: string]: Json };

/**
 * The placeholder in `options` for a function, which is not data: writing it with `JSON.stringify` throws a
 * TypeError that names the option.
 */
export function functionOption(owner: string, option: string): Json {
  checkText("mark an option as a function", owner, "the owner");
  checkText("mark an option as a function", option, "the option");
  return refusedJson(
    `Cannot save ${owner}: its option ${option} is a function, which is not data; ` +
      `give a name, or keep the code and save the weights alone`,
  );
}

/**
 * The placeholder for something that is not data: writing it with `JSON.stringify` throws a TypeError with
 * this message.
 */
export function refusedJson(message: string): Json {
  const refuse = () => {
    throw new TypeError(message);
  };
  return Object.defineProperty({}, "toJSON", { value: refuse });
}
