/** Converts between Keras's spellings and ours. */

/** `recurrent_kernel` as `recurrentKernel`. */
export function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `recurrentKernel` as `recurrent_kernel`. */
export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A layer's name without "/", which Keras 2 allows and which separates groups of weights. */
export function withoutSlash(name: string): string {
  return name.replaceAll("/", "_");
}

/** A class name as Keras names its objects and weight groups (`keras.src.utils.naming.to_snake_case`). */
export function snakeCaseOfClass(name: string): string {
  return name.replaceAll(/\W+/g, "")
    .replaceAll(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

/** Numbers repeated names: `lstm`, `lstm_1`, `lstm_2`, as Keras does inside one container. */
export function numbering(): (name: string) => string {
  const used = new Map<string, number>();
  return (name) => {
    const count = used.get(name);
    used.set(name, count === undefined ? 0 : count + 1);
    return count === undefined ? name : `${name}_${count + 1}`;
  };
}

/** The same, if some names are already given and must not be made again. */
export function freeNames(taken: Iterable<string>): (name: string) => string {
  const used = new Set(taken);
  return (name) => {
    let free = name;
    for (let number = 1; used.has(free); number++) free = `${name}_${number}`;
    used.add(free);
    return free;
  };
}
