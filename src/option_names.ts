/** The names of options: an unknown option is an error, and so is one of the wrong kind. */
import { describeValue, isObject, wrongKind } from "./describe.ts";
import { nearest, remedy } from "./known_names.ts";
import { quoted } from "./quoted.ts";

/** Options that are booleans wherever they are accepted. */
const FLAGS: ReadonlySet<string> = new Set([
  "allowNaN",
  "amsgrad",
  "append",
  "applyClassBalancing",
  "center",
  "ceil",
  "centered",
  "correlated",
  "countPadding",
  "countsMasked",
  "cycle",
  "descending",
  "dropRemainder",
  "exclusive",
  "fromLogits",
  "goBackwards",
  "inputForget",
  "invert",
  "keepDims",
  "logInput",
  "keepdims",
  "maskZero",
  "nesterov",
  "normalize",
  "optional",
  "peepholes",
  "resetAfter",
  "restoreBestWeights",
  "returnSequences",
  "returnState",
  "reuse",
  "reverse",
  "rightPadded",
  "scale",
  "saveBestOnly",
  "shuffle",
  "staircase",
  "stateful",
  "stream",
  "strict",
  "transposeLeft",
  "transposeRight",
  "unitForgetBias",
  "unroll",
  "useEma",
  "useBias",
  "zeroInfinity",
  "useCausalMask",
  "useScale",
  "returnAttentionScores",
  "zeroOutputForMask",
]);

/** The kind of `typeof` that an option must have, if its name determines that. */
function kindOf(option: string): "boolean" | "string" | undefined {
  return option === "name" ? "string" : FLAGS.has(option) ? "boolean" : undefined;
}

/**
 * Checks that every key of `options` is an option of `what`, that flags are booleans and that names are
 * strings.
 *
 * @param what The function that takes the options, such as `adam`.
 * @param elsewhere What to use instead of options that other libraries have here.
 * @throws TypeError if options are not an object, such as a number, and for an option of the wrong kind;
 *   RangeError naming the unknown option and the nearest known one.
 */
export function checkOptions(
  what: string,
  options: object,
  known: readonly string[],
  elsewhere: Readonly<Record<string, string>> = {},
): void {
  if (!isObject(options)) {
    throw new TypeError(
      `Cannot use ${describeValue(options)} as the options of ${what}: expected an object${
        known.length === 0
          ? ""
          : ` such as { ${known[0]}: ${isShort(options) ? JSON.stringify(options) : "…"} }`
      }`,
    );
  }
  for (const [key, value] of Object.entries(options)) {
    if (known.includes(key)) {
      checkKind(what, key, value);
      continue;
    }
    const near = nearest(key, [...known, ...Object.keys(elsewhere)]);
    const instead = near !== undefined && Object.hasOwn(elsewhere, near) ? elsewhere[near] : undefined;
    throw new RangeError(
      `Cannot use the option ${quoted(key)} of ${what}: it is unknown; ${instead ?? remedy(key, known)}`,
    );
  }
}

/** Whether a value can be shown in full: a number, or a short text. */
function isShort(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) ||
    typeof value === "string" && value.length <= 16;
}

function checkKind(what: string, option: string, value: unknown): void {
  const kind = kindOf(option);
  if (kind === undefined || value === undefined || typeof value === kind) return;
  throw wrongKind(
    `use the options of ${what}`,
    value,
    option,
    kind === "boolean" ? "true or false" : "a text",
  );
}
