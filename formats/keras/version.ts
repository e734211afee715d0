/** Which Keras wrote a file, and what follows from it. Nothing here reads files. */
import { quoted } from "../../src/quoted.ts";
import { isObject, parseConfig } from "./objects.ts";
import { KerasFileError } from "./errors.ts";

/** The source of a configuration. */
export interface Dialect {
  /** What the file is, for errors: `a whole-model HDF5 of Keras 2.4.0`. */
  readonly about: string;
  /**
   * Whether it is that of Keras 2: another `hard_sigmoid`, masks that travel by themselves, `counts: "all"`
   * in layers that merge, a GRU without `reset_after` by default. TensorFlow.js has the same.
   */
  readonly keras2: boolean;
  /** Whether an option that is null has its default, as TensorFlow.js writes it. */
  readonly nullIsDefault?: boolean;
}

/** The dialect of a file of this kind by the version that it states; Keras 3 if it states none. */
export function dialectOf(kind: string, version: string | undefined): Dialect {
  if (version === undefined) return { about: kind, keras2: false };
  const about = `${kind} of ${/^\d/.test(version) ? `Keras ${version}` : version}`;
  if (/^tfjs-layers\b/.test(version)) return { about, keras2: true, nullIsDefault: true };
  const [, major] = version.match(/^(\d+)\./) ?? [];
  if (major === "2" || major === "3") return { about, keras2: major === "2" };
  throw new KerasFileError(
    "keras_version",
    `it is ${quoted(version)}, expected 2 or 3; read it with Keras 2 in Python and save it again`,
  );
}

/** The version in the `metadata.json` of a `.keras`. */
export function versionIn(metadata: string | undefined): string | undefined {
  if (metadata === undefined) return undefined;
  const json = parseConfig(metadata, "metadata.json");
  const version = isObject(json) ? json.keras_version : undefined;
  return typeof version === "string" ? version : undefined;
}
