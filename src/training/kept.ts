/**
 * Compiled steps that are kept for later calls, the ones used last: so many kinds of data, such as sequences
 * of ever new sizes, do not fill the memory.
 */
import type { Runner } from "../transforms/runner.ts";

/** How many kinds are kept of each sort of step. */
const MOST_KINDS = 64;

/** A compiled step, made when it is needed. */
export interface Lazy<Step> {
  /** The step, compiled at the first call; who has it may call it after `release` too, which compiles again. */
  get(): Step;
  /** Frees it; a running call is finished first. */
  release(): void;
  /** Frees it at once, for good. */
  dispose(): void;
}

/** A step that `make` compiles. */
export function lazily<Args extends readonly unknown[], Result, Step extends Runner<Args, Result>>(
  make: () => Step & Runner<Args, Result>,
): Lazy<Step> {
  let latest: { readonly step: Step; readonly release: () => void } | undefined;
  const made = () => {
    const compiled = make();
    let running = 0, released = false;
    const free = () => {
      if (released && running === 0) compiled[Symbol.dispose]();
    };
    const ended = () => {
      running--;
      free();
    };
    const step = (...args: Args): Promise<Result> => {
      if (released) return get()(...args);
      const result = compiled(...args);
      running++;
      result.then(ended, ended);
      return result;
    };
    const release = () => {
      released = true;
      free();
    };
    return {
      step: Object.defineProperties(step, Object.getOwnPropertyDescriptors(compiled)) as typeof compiled,
      release,
    };
  };
  const get = () => (latest ??= made()).step;
  return {
    get,
    release() {
      latest?.release();
      latest = undefined;
    },
    dispose: () => latest?.step[Symbol.dispose](),
  };
}

/** Values by key, of which those not used for longest are forgotten. */
export interface Recent<Value> {
  /** The value of a key, which counts as used now. */
  get(key: string, make: () => Value): Value;
  /** Puts a value back, as used now. */
  touch(key: string, value: Value): void;
  values(): Iterable<Value>;
  clear(): void;
}

/** No values yet; `forget` is called for each one that is forgotten. */
export function recentOnly<Value>(forget: (value: Value) => void): Recent<Value> {
  const kept = new Map<string, Value>();
  const touch = (key: string, value: Value) => {
    kept.delete(key);
    kept.set(key, value);
    if (kept.size <= MOST_KINDS) return;
    const [oldest] = kept;
    kept.delete(oldest[0]);
    forget(oldest[1]);
  };
  return {
    get(key, make) {
      const value = kept.get(key) ?? make();
      touch(key, value);
      return value;
    },
    touch,
    values: () => kept.values(),
    clear: () => kept.clear(),
  };
}
