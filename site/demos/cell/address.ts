/** A program and how it is trained as the fragment of an address: JSON, deflated, in base64url. */
import { type TaskName, taskNames } from "./task_names.ts";

/** All that a link has. */
export interface Shared {
  readonly source: string;
  readonly task: TaskName;
  readonly device: "wasm" | "webgpu";
  readonly learningRate: number;
  readonly steps: number;
}

/** The most characters of a program that a link may have. */
const MOST_CHARACTERS = 100_000;

/** The bytes that a stream makes of others; throws if these are too many, as a small link can unfold to gigabytes. */
async function through(bytes: Uint8Array<ArrayBuffer>, stream: CompressionStream | DecompressionStream) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let size = 0;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    if ((size += value.length) > 4 * MOST_CHARACTERS) throw new RangeError("A link with too long a program");
    parts.push(value);
  }
}

/** The fragment, without `#`. */
export async function encodeShared(shared: Shared): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(shared));
  const bytes = await through(text, new CompressionStream("deflate-raw"));
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return `p=${btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

/** What a fragment has; undefined if it is none of these. */
export async function decodeShared(fragment: string): Promise<Shared | undefined> {
  const [, letters] = /^#?p=([\w-]+)$/.exec(fragment) ?? [];
  if (letters === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(
      atob(letters.replaceAll("-", "+").replaceAll("_", "/")),
      (letter) => letter.charCodeAt(0),
    );
    const text = new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw")));
    return checked(JSON.parse(text));
  } catch {
    return undefined; // cut off, or of another kind
  }
}

/** The members of the right kinds: a link may have been written by hand. */
function checked(given: Partial<Record<keyof Shared, unknown>> | null): Shared | undefined {
  const { source, task, device, learningRate, steps } = given ?? {};
  const isNumber = (value: unknown, least: number, most: number): value is number =>
    typeof value === "number" && value >= least && value <= most;
  if (typeof source !== "string" || source.length > MOST_CHARACTERS) return undefined;
  if (!taskNames.includes(task as TaskName)) return undefined;
  if (device !== "wasm" && device !== "webgpu") return undefined;
  if (!isNumber(learningRate, 0, 10) || !isNumber(steps, 1, 1e6)) return undefined;
  return { source, task: task as TaskName, device, learningRate, steps: Math.round(steps) };
}
