/**
 * The trainers behind `fit`, `evaluate` and `predict`: a later call with the same model and options finds the
 * steps that an earlier one compiled. A model does not live longer for it: its trainers are kept by it alone.
 * Of all models together only the trainers used last are kept.
 */
import type { Layer } from "../layers/layer.ts";
import { checkLayer } from "../layers/checks.ts";
import { describedBy } from "../options/made.ts";
import { type Predictor, trainerOptionNames, type TrainerOptions } from "./trainer.ts";

/** How many trainers are kept at most; those not used for longest are disposed first. */
const MOST_TRAINERS = 16;

/** A trainer, and how many calls are using it now. */
interface Shared<Made extends Predictor = Predictor> {
  readonly trainer: Made;
  readonly self: WeakRef<Shared>;
  /** Removes it from the trainers of its model. */
  readonly forget: () => void;
  users: number;
}

const trainersOf = new WeakMap<Layer, Map<string, Shared>>();

/** What is kept, last used last; weakly, so that a model that was dropped can be collected with its trainers. */
const inOrder = new Set<Shared["self"]>();

/** A function that makes what runs the steps of a model: `createTrainer`, or `createPredictor` where that is enough. */
type Create<Made extends Predictor> = (model: Layer, options: TrainerOptions) => Made;

/**
 * The result of `use` with what `create` makes for this model and these options, made at the first call with them.
 * Another call may use it at the same time.
 */
export function withShared<Output, Made extends Predictor, Result>(
  create: Create<Made>,
  model: Layer<Output>,
  options: TrainerOptions,
  use: (made: Made) => Promise<Result>,
): Promise<Result>;
export async function withShared<Made extends Predictor, Result>(
  create: Create<Made>,
  model: Layer,
  options: TrainerOptions,
  use: (made: Made) => Promise<Result>,
): Promise<Result> {
  const shared = sharedBy(create, model, options);
  shared.users++;
  try {
    return await use(shared.trainer);
  } finally {
    shared.users--;
    forgetOldest();
  }
}

function sharedBy<Made extends Predictor>(
  create: Create<Made>,
  model: Layer,
  options: TrainerOptions,
): Shared<Made> {
  checkLayer("make a trainer", model);
  const key = numberOf(create) + trainerOptionNames.map((name) => textOf(options[name])).join() +
    stampOf(model);
  const trainers = trainersOf.get(model) ?? new Map<string, Shared>();
  trainersOf.set(model, trainers);
  const known = trainers.get(key) as Shared<Made> | undefined; // the key says what made it
  const shared = known ?? newlyShared(create(model, options), () => trainers.delete(key));
  trainers.set(key, shared);
  inOrder.delete(shared.self);
  inOrder.add(shared.self);
  return shared;
}

function newlyShared<Made extends Predictor>(trainer: Made, forget: () => void): Shared<Made> {
  const shared: { -readonly [Key in keyof Shared]?: Shared<Made>[Key] } = { trainer, forget, users: 0 };
  shared.self = new WeakRef(shared as Shared); // complete with this
  return shared as Shared<Made>;
}

function forgetOldest(): void {
  const kept = [...inOrder].map((self) => ({ self, shared: self.deref() }));
  let excess = -MOST_TRAINERS;
  for (const { self, shared } of kept) shared ? excess++ : inOrder.delete(self);
  for (const { self, shared } of kept) {
    if (excess <= 0) return;
    if (!shared || shared.users > 0) continue;
    inOrder.delete(self);
    shared.forget();
    shared.trainer[Symbol.dispose]();
    excess--;
  }
}

const numbers = new WeakMap<object, number>();
let counted = 0;

/** A number by which an object or function is told from all others. */
function numberOf(value: object): string {
  let number = numbers.get(value);
  if (number === undefined) numbers.set(value, number = counted++);
  return `#${number}`;
}

/** What is nested deeper in options is told apart by identity: no options are, but those that hold themselves. */
const DEEPEST = 16;

/** Text that is equal only for options that act alike: data by value, functions and what holds them by identity. */
function textOf(value: unknown, depth = 0): string {
  if (typeof value === "function") return numberOf(value);
  if (typeof value !== "object" || value === null) {
    return typeof value === "string" ? quoteText(value) : String(value);
  }
  if (depth > DEEPEST) return numberOf(value);
  const described = describedBy(value);
  if (described !== undefined) return described;
  if (Array.isArray(value)) return `[${value.map((part) => textOf(part, depth + 1)).join()}]`;
  const prototype: unknown = Object.getPrototypeOf(value);
  const entries = Object.entries(value);
  const isData = (prototype === Object.prototype || prototype === null) &&
    entries.every(([, part]) => typeof part !== "function");
  if (!isData) return numberOf(value) + (Object.isFrozen(value) ? "" : fieldsOf(value));
  return `{${
    entries.sort(byName).map(([name, part]) => `${quoteText(name)}:${textOf(part, depth + 1)}`).join()
  }}`;
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

function quoteText(text: string): string {
  return JSON.stringify(text);
}

/**
 * Text that changes when a layer is changed in place, which only copies and layers of the caller's own can be.
 */
function stampOf(layer: Layer): string {
  const own = Object.isFrozen(layer) ? "" : fieldsOf(layer);
  return own + (layer.layers?.map(stampOf).join("") ?? "");
}

/** The fields of an object, by identity. */
function fieldsOf(object: object): string {
  const text = (value: unknown) =>
    typeof value === "function" || typeof value === "object" && value !== null
      ? numberOf(value)
      : JSON.stringify(value);
  return `{${Object.entries(object).map(([name, value]) => `${name}:${text(value)}`).join()}}`;
}
