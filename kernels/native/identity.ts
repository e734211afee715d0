/**
 * What is known of the compiler without running it. What it said when it last ran is kept with a key: its file, and the
 * processor, which code is compiled for. A compiler that changed behind the same file, such as one that a script calls,
 * goes unnoticed; what an earlier one compiled is as right.
 */
import { identityPath, isGranted, variable } from "./host.ts";
import { keepText } from "./cache.ts";

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

/** The file of a command, and when it was written; undefined if that may not be read. */
async function fileOf(command: string): Promise<string | undefined> {
  const directories = command.includes("/")
    ? [""]
    : (variable("PATH") ?? "").split(":").map((each) => `${each}/`);
  for (const directory of directories) {
    const path = `${directory}${command}`;
    if (!isGranted({ name: "read", path })) return undefined;
    const info = await Deno.stat(path).catch(() => undefined);
    if (info?.isFile) return [path, info.ino, info.size, info.mtime?.getTime(), info.ctime?.getTime()].join();
  }
}

/** What an identity depends on; null if that cannot be found out without running the compiler. */
export async function identityKey(command: string): Promise<string | null> {
  const processors = "/proc/cpuinfo";
  if (Deno.build.os !== "linux" || !isGranted({ name: "read", path: processors })) return null;
  const file = await fileOf(command);
  const text = await Deno.readTextFile(processors).catch(() => "");
  const processor = text.split("\n\n")[0].match(PROCESSOR);
  return file === undefined || processor === null ? null : `${file}\n${processor.join("\n")}`;
}

/** The identity that is kept for a key, or whatever was kept last where none is given. */
export async function keptIdentity(directory: string, key?: string): Promise<Identity | undefined> {
  try {
    const kept: Kept = JSON.parse(await Deno.readTextFile(identityPath(directory)));
    return key === undefined || kept.key === key ? kept : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps an identity; a cache that cannot be written keeps none. */
export async function keepIdentity(directory: string, kept: Kept): Promise<void> {
  const path = identityPath(directory), text = JSON.stringify(kept);
  if (await Deno.readTextFile(path).catch(() => "") !== text) await keepText(path, text).catch(() => {});
}
