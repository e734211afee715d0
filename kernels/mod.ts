/** The backends by name, and which one `auto` means. */
import type { Backend } from "./backend.ts";
import { reference } from "./reference/mod.ts";
import { wasm } from "./wasm/mod.ts";

/** Every backend, the fastest first. */
const backends: readonly Backend[] = [wasm, reference];

/** The names by which `device` chooses a backend. */
export function backendNames(): string[] {
  return backends.map(({ name }) => name);
}

/** The backends that this machine can run, the fastest first; `reference` is always among them. */
export async function availableBackends(): Promise<Backend[]> {
  const available = await Promise.all(backends.map((backend) => backend.available()));
  return backends.filter((_, index) => available[index]);
}

/**
 * The backend of this name.
 *
 * @throws RangeError if there is none, or this machine cannot run it.
 */
export async function findBackend(name: string): Promise<Backend> {
  const backend = backends.find((candidate) => candidate.name === name);
  if (!backend) {
    throw new RangeError(
      `Cannot use the device ${JSON.stringify(name)}: expected auto or one of ${backendNames().join(", ")}`,
    );
  }
  if (!await backend.available()) {
    throw new RangeError(`Cannot use the device ${name}: this machine cannot run it`);
  }
  return backend;
}
