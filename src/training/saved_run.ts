/**
 * The whole state of a run between two steps as the bytes of one file: a checkpoint that `loadCheckpoint`
 * reads too, with what `fit` needs besides variables and the optimizer's state to go on bit for bit. A
 * checksum over all bytes finds any damage. Nothing here touches a file.
 */
import { decodeSafetensors } from "../data/safetensors/decode.ts";
import { encodeSafetensors } from "../data/safetensors/encode.ts";
import { PREFIX } from "../data/safetensors/header.ts";
import {
  CHECKPOINT,
  malformedCheckpoint,
  parseJson,
  structureOf,
  treeOf,
} from "../data/safetensors/structure.ts";
import { layerJson } from "../layers/define.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import type { Json } from "../options/json.ts";
import { type HostTensor, hostTensor } from "../tensor/tensor.ts";
import { type CallbackState, packState, unpackState } from "./callback_state.ts";
import type { History, StepPlace } from "./non_finite.ts";
import type { ObjectiveState } from "./objective.ts";
import type { OptimizerState } from "./optimizers.ts";

/** The state of a callback, with the callback's type. */
export interface SavedCallback {
  readonly type: string;
  readonly state: CallbackState;
}

/** A run between two steps; all tensors are on the host. */
export interface SavedRun {
  /** What the run is, from `identityOf`. */
  readonly identity: Json;
  /** The epoch, and its completed steps; the order of its samples follows from the key and the updates. */
  readonly place: StepPlace;
  /** Whether a callback has ended training. */
  readonly stopped: boolean;
  readonly variables: Variables;
  readonly optimizerState: OptimizerState;
  /** The running means of the present epoch, if it has begun. */
  readonly metrics?: ObjectiveState;
  readonly history: History;
  /** Of the callbacks that hold state, in their order. */
  readonly callbacks: readonly SavedCallback[];
}

/** The version of what is saved beside variables and the optimizer's state. */
const VERSION = 1;

/** How the header begins; the digits of the checksum follow. */
const START = '{"__metadata__":{"checksum":"';
/** What stands for the checksum while it is computed. */
const UNKNOWN = "0".repeat(64);

/** The file of a run. */
export async function encodeRun(model: Layer, run: SavedRun): Promise<Uint8Array<ArrayBuffer>> {
  const { variables: { params, state }, optimizerState, metrics, history } = run;
  const packed = run.callbacks.map(({ state }) => packState(state));
  const tree = {
    params,
    state,
    optimizerState,
    ...(metrics && { metrics }),
    history: Object.fromEntries(
      Object.entries(history).map((
        [name, values],
      ) => [name, hostTensor(Float64Array.from(values), [values.length])]),
    ),
    callbacks: packed.map(({ tensors }) => tensors),
  };
  const training: Json = {
    version: VERSION,
    identity: run.identity,
    place: { epoch: run.place.epoch, step: run.place.step },
    stopped: run.stopped,
    callbacks: run.callbacks.map(({ type }, index) => ({ type, state: packed[index].json })),
  };
  const modelJson = modelText(model);
  const bytes = encodeSafetensors(tree, {
    metadata: {
      checksum: UNKNOWN,
      ...CHECKPOINT,
      ...(modelJson === undefined ? {} : { model: modelJson }),
      structure: JSON.stringify(structureOf(tree)),
      training: JSON.stringify(training),
    },
  });
  setChecksum(bytes, await checksumOf(bytes));
  return bytes;
}

/** The JSON of a model; undefined if it is not data, and only the code that made it can resume. */
function modelText(model: Layer): string | undefined {
  try {
    return JSON.stringify(layerJson(model));
  } catch {
    return undefined;
  }
}

/** Reads what `encodeRun` wrote. Throws a SyntaxError for a damaged file, a RangeError for another version. */
export async function decodeRun(bytes: Uint8Array): Promise<SavedRun> {
  const { tensors, metadata } = decodeSafetensors(bytes);
  const { format = "none", version = "none", checksum } = metadata;
  const hasTraining = checksum?.length === UNKNOWN.length && metadata.training !== undefined;
  const training = hasTraining
    ? parseJson(metadata.training, "training") as unknown as Training // as written above
    : undefined;
  const other = format !== CHECKPOINT.format || version !== CHECKPOINT.version
    ? otherVersion(format, version)
    : training && training.version !== VERSION
    ? otherVersion(`${format} training`, String(training.version), String(VERSION))
    : undefined;
  // What does not fit may be due to another version as well as to damage.
  const damaged = (reason: string) => malformedCheckpoint(other ? `${reason}; ${other.message}` : reason);
  if (!training) throw damaged("it has no state of training, which the callback checkpoint writes");
  const copy = Uint8Array.from(bytes);
  setChecksum(copy, UNKNOWN);
  if (await checksumOf(copy) !== checksum) throw damaged("its bytes do not match its checksum");
  if (other) throw other;
  const tree = treeOf(parseJson(metadata.structure, "structure"), new Map(Object.entries(tensors)));
  const { params, state, optimizerState, metrics, history, callbacks } = tree as unknown as SavedTree; // the same
  return {
    identity: training.identity,
    place: training.place,
    stopped: training.stopped,
    variables: { params, state },
    optimizerState,
    metrics,
    history: Object.fromEntries(Object.entries(history).map(([name, { data }]) => [name, [...data]])),
    callbacks: training.callbacks.map(({ type, state }, index) => ({
      type,
      state: unpackState({ json: state, tensors: callbacks[index] }),
    })),
  };
}

/** The metadata of a run. */
interface Training extends Pick<SavedRun, "identity" | "place" | "stopped"> {
  readonly version: number;
  readonly callbacks: readonly { readonly type: string; readonly state: Json }[];
}

/** The tensors of a run. */
interface SavedTree extends Variables, Pick<SavedRun, "optimizerState" | "metrics"> {
  readonly history: { readonly [name: string]: HostTensor };
  readonly callbacks: readonly (readonly HostTensor[])[];
}

function otherVersion(format: string, version: string, expected = CHECKPOINT.version): RangeError {
  return new RangeError(
    `its format is ${format}, version ${version}, expected ${CHECKPOINT.format}, version ${expected}; resume it ` +
      `with the version of the library that wrote it`,
  );
}

/** Writes the digits of a checksum to their place. */
function setChecksum(bytes: Uint8Array, checksum: string): void {
  bytes.set(new TextEncoder().encode(checksum), PREFIX + START.length);
}

/** SHA-256 in hexadecimal digits. */
async function checksumOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
