/**
 * What is known of the compiler without running it. What it said when it last ran is kept with a key: its file, and the
 * processor, which code is compiled for. A compiler that changed behind the same file, such as one that a script calls,
 * goes unnoticed; what an earlier one compiled is as right.
 */
import { keepText } from "./cache.ts";
import { type CompilerCommand, identityPath, theHost, variable } from "./host.ts";

/** What a compiler says of itself. */
export interface Identity {
  /** The flag that makes it use all of this processor. */
  readonly processor: readonly string[];
  /** Its version, and what the processor can do, as the compiler sees both. */
  readonly identity: string;
  readonly version: string;
}

/** An identity, and the key that it holds for; null if that could not be found out. */
interface Kept extends Identity {
  readonly key: string | null;
}

/** Lines that say what a processor can do, of the many that Linux has for each. */
const PROCESSOR = /^(vendor_id|cpu family|model|model name|stepping|flags|CPU \w+|Features)\s*:.*$/gm;

/** The text of a file. */
async function textOf(path: string): Promise<string> {
  return new TextDecoder().decode(await theHost().files.read(path));
}

/** The file of a command, and when it was written; undefined if that may not be read. */
async function fileOf(command: string): Promise<string | undefined> {
  const directories = command.includes("/")
    ? [""]
    : (variable("PATH") ?? "").split(":").map((each) => `${each}/`);
  for (const directory of directories) {
    const path = `${directory}${command}`;
    if (!theHost().mayRead(path)) return undefined;
    const info = await theHost().files.info(path);
    if (info?.isFile) return [path, info.inode, info.size, info.modified, info.changed].join();
  }
}

/** What an identity depends on; null if that cannot be found out without running the compiler. */
export async function identityKey({ command, first }: CompilerCommand): Promise<string | null> {
  const processors = "/proc/cpuinfo";
  if (theHost().system !== "linux" || !theHost().mayRead(processors)) return null;
  const [file, text] = await Promise.all([fileOf(command), textOf(processors).catch(() => "")]);
  const processor = text.split("\n\n")[0].match(PROCESSOR);
  return file === undefined || processor === null ? null : [file, ...first, ...processor].join("\n");
}

/** The identity that is kept for a key, or whatever was kept last where none is given. */
export async function keptIdentity(directory: string, key?: string): Promise<Identity | undefined> {
  try {
    const kept: Kept = JSON.parse(await textOf(identityPath(directory)));
    const isWhole = Array.isArray(kept.processor) && typeof kept.identity === "string";
    return isWhole && (key === undefined || kept.key === key) ? kept : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps an identity; a cache that cannot be written keeps none. */
export async function keepIdentity(directory: string, kept: Kept): Promise<void> {
  const path = identityPath(directory), text = JSON.stringify(kept);
  if (await textOf(path).catch(() => "") !== text) await keepText(path, text).catch(() => {});
}
