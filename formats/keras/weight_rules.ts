/** Regularizers and constraints as Keras writes them, and as they are options here. */
import { type ConstraintLike, resolveConstraint } from "../../src/options/constraints.ts";
import type { Json, JsonOptions } from "../../src/options/json.ts";
import { type RegularizerLike, resolveRegularizer } from "../../src/options/regularizers.ts";
import { isObject } from "./objects.ts";

/** A class of Keras with the names that its options have here; all of them are written. */
interface RuleClass {
  readonly className: string;
  /** Our options by Keras's names, with their defaults. */
  readonly options: Readonly<Record<string, readonly [ours: string, otherwise: Json]>>;
}

const ORTHOGONAL: RuleClass = {
  className: "OrthogonalRegularizer",
  options: { factor: ["factor", 0.01], mode: ["mode", "rows"] },
};

const axis = ["axis", 0] as const;

/** The constraints by our names. */
const constraints: Readonly<Record<string, RuleClass>> = {
  nonNeg: { className: "NonNeg", options: {} },
  maxNorm: { className: "MaxNorm", options: { max_value: ["maxValue", 2], axis } },
  unitNorm: { className: "UnitNorm", options: { axis } },
  minMaxNorm: {
    className: "MinMaxNorm",
    options: { min_value: ["minValue", 0], max_value: ["maxValue", 1], rate: ["rate", 1], axis },
  },
};

/** What is accepted, for errors. */
export const REGULARIZERS = "L1, L2, L1L2 or OrthogonalRegularizer";
/** The same for constraints. */
export const CONSTRAINTS = Object.values(constraints).map(({ className }) => className).join(", ");

/** The class and the options of a value, which may be a name; undefined if it is neither. */
function objectOf(value: Json): { readonly name: string; readonly config: JsonOptions } | undefined {
  const given = isObject(value) ? value : { class_name: value, config: {} };
  const { class_name: className, config } = given;
  if (typeof className !== "string" || !isObject(config ?? {})) return undefined;
  return { name: className.replaceAll("_", "").toLowerCase(), config: (config ?? {}) as JsonOptions };
}

/** Whether all options are of these names. */
function hasOnly(config: JsonOptions, names: readonly string[]): boolean {
  return Object.keys(config).every((name) => names.includes(name));
}

/** A regularizer as ours; undefined if there is no such regularizer here, or none with such values. */
export function readRegularizer(value: Json): Json | undefined {
  const ours = regularizerOf(value);
  return isAccepted(() => ours && resolveRegularizer("a layer", "it", ours as RegularizerLike))
    ? ours
    : undefined;
}

/** A constraint as ours; undefined if there is no such constraint here, or none with such values. */
export function readConstraint(value: Json): Json | undefined {
  const ours = constraintOf(value);
  return isAccepted(() => ours && resolveConstraint("a layer", "it", ours as ConstraintLike))
    ? ours
    : undefined;
}

/** Whether layers take an option, such as a constraint over axes that are numbers: Keras also takes `axis=None`. */
function isAccepted(resolve: () => unknown): boolean {
  try {
    resolve();
    return true;
  } catch {
    return false;
  }
}

function regularizerOf(value: Json): Json | undefined {
  const given = objectOf(value);
  if (given === undefined) return undefined;
  const { name, config } = given;
  if (name === "l1" || name === "l2") {
    return hasOnly(config, [name]) ? { [name]: config[name] ?? 0.01 } : undefined;
  }
  if (name === "l1l2") {
    return hasOnly(config, ["l1", "l2"]) ? { l1: config.l1 ?? 0, l2: config.l2 ?? 0 } : undefined;
  }
  if (name !== "orthogonalregularizer" || !hasOnly(config, ["factor", "mode"])) return undefined;
  return { name: "orthogonal", ...config };
}

function constraintOf(value: Json): Json | undefined {
  const given = objectOf(value);
  const [ours, found] =
    Object.entries(constraints).find(([, { className }]) => className.toLowerCase() === given?.name) ?? [];
  if (given === undefined || found === undefined || !hasOnly(given.config, Object.keys(found.options))) {
    return undefined;
  }
  const options = Object.entries(given.config).map(([option, value]) => [found.options[option][0], value]);
  return { name: ours, ...Object.fromEntries(options) };
}

function written(module: string, { className, options }: RuleClass, given: JsonOptions): Json {
  const config = Object.entries(options).map((
    [option, [ours, otherwise]],
  ) => [option, given[ours] ?? otherwise]);
  return { module, class_name: className, config: Object.fromEntries(config), registered_name: null };
}

/** Our regularizer as Keras's. */
export function writeRegularizer(value: Json): Json {
  const module = "keras.regularizers";
  if (value === "l1" || value === "l2") return writeRegularizer({ [value]: 0.01 });
  if (!isObject(value) || value.name === "orthogonal") {
    return written(module, ORTHOGONAL, isObject(value) ? value : {});
  }
  const names = (["l1", "l2"] as const).filter((name) => value[name] !== undefined);
  const options = Object.fromEntries(names.map((name) => [name, [name, 0] as const]));
  return written(module, { className: names.map((name) => name.toUpperCase()).join(""), options }, value);
}

/** Our constraint as Keras's. */
export function writeConstraint(value: Json): Json {
  const given: JsonOptions = isObject(value) ? value : { name: value };
  return written("keras.constraints", constraints[String(given.name)], given);
}
