/** The backends by name, and which one `auto` means. */
import type { Backend } from "./backend.ts";
import { reference } from "./reference/mod.ts";

/** Every backend, the fastest first. */
const backends: readonly Backend[] = [reference];

/** The names by which `device` chooses a backend. */
export function backendNames(): string[] {
  return backends.map(({ name }) => name);
}

/** The first backend that this machine can run. */
export async function defaultBackend(): Promise<Backend> {
  for (const backend of backends) if (await backend.available()) return backend;
  return reference;
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
