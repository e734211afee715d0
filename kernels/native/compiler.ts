/** The system's C compiler: what it is, and what it makes of a source, which is kept (`cache.ts`). */
import { DeviceUnavailable } from "../backend.ts";
import { checkOwn, isThere, isWhole, keep, keepText, nameFor, prepare, useText } from "./cache.ts";
import {
  cacheDirectory,
  type CompilerCommand,
  compilerCommand,
  mayCompile,
  missingPermissions,
  theHost,
} from "./host.ts";
import { type Identity, identityKey, keepIdentity, keptIdentity } from "./identity.ts";

/**
 * How code is compiled. Nothing here changes what NaN, infinities or zeros do: floats are multiplied and added in one step
 * only where the source says so, and integers wrap.
 */
export const FLAGS = [
  ...["-std=c11", "-fPIC", "-shared", "-fvisibility=hidden"],
  // Whatever `CC` says: linked with fast mathematics, a shared object would flush small numbers to zero everywhere.
  ...["-fno-fast-math", "-fno-unsafe-math-optimizations"],
  ...["-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing", "-fno-math-errno", "-fno-trapping-math"],
  // Clang 14 warns that `-fno-trapping-math` overrides what it takes `-fno-unsafe-math-optimizations` to imply; it should.
  ...["-Wall", "-Wextra", "-Wno-psabi", "-Wno-overriding-t-option"],
];

/**
 * How much the compiler optimizes: the runtime, whose tiles it should keep in registers; and Programs, whose vectors are
 * written out, so that a higher level only takes half as long again to compile them.
 */
export const OPTIMIZE = {
  runtime: ["-O2", "-falign-loops=64"],
  program: ["-O2", "-ftree-vectorize"],
} as const;

/** What it is linked with: threads, and `floor` where no instruction has it. */
export const LIBRARIES = ["-lpthread", "-lm"];

/** The compiler of this machine. */
export interface Compiler extends Identity, CompilerCommand {
  readonly directory: string;
}

/** Files that a source became. */
export interface Compiled {
  readonly object: string;
  readonly source: string;
}

function unavailable(why: string, cause?: unknown): DeviceUnavailable {
  return new DeviceUnavailable("native", why, { cause });
}

async function runCompiler({ command, first }: CompilerCommand, args: readonly string[]) {
  const done = await theHost().run(command, [...first, ...args]).catch((cause) => {
    throw unavailable(`${command} cannot be run (${cause})`, cause);
  });
  if (done) return done;
  throw unavailable(
    `there is no C compiler ${command}; install gcc or clang, or name one by the variable CC`,
  );
}

/** The error for a compiler that fails, with the first lines of what it says. */
function failed({ command, first }: CompilerCommand, text: string): DeviceUnavailable {
  const said = text.trim().split("\n").slice(0, 5).join("\n");
  return unavailable(
    `the C compiler ${[command, ...first].join(" ")} fails${
      said === "" ? ", and does not say why" : `:\n${said}`
    }`,
  );
}

/**
 * Finds out what the compiler is.
 *
 * @throws DeviceUnavailable if it is missing or does not work.
 */
export async function findCompiler(): Promise<Compiler> {
  const lacking = missingPermissions();
  if (lacking !== undefined) throw unavailable(`run Deno with ${lacking}`);
  const directory = cacheDirectory();
  if (directory === undefined) throw unavailable("the variables HOME and XDG_CACHE_HOME are not set");
  await checkOwn(directory);
  const called = compilerCommand(), { command } = called;
  const key = mayCompile() ? await identityKey(called) : undefined;
  const kept = key === null ? undefined : await keptIdentity(directory, key);
  if (kept) return { ...called, directory, ...kept };
  if (key === undefined) throw unavailable(`${directory} has no code; run Deno with --allow-run=${command}`);
  let said = "";
  for (const processor of [["-march=native"], ["-mcpu=native"], []]) {
    const { success, stdout, stderr } = await runCompiler(called, [
      ...processor,
      "-dM",
      "-E",
      "-x",
      "c",
      "/dev/null",
    ]);
    said ||= stderr;
    if (!success) continue;
    const version = stdout.match(/#define __VERSION__ "(.*)"/)?.[1] ?? "of unknown version";
    const identity = stdout.split("\n").filter((line) => !/__(DATE|TIME|TIMESTAMP)__/.test(line)).sort().join(
      "\n",
    );
    await prepare(directory);
    const found: Identity = { processor, identity, version };
    await keepIdentity(directory, { ...found, key });
    return { ...called, directory, ...found };
  }
  throw failed(called, said);
}

/** Compilations under way in this process. */
const underWay = new Map<string, Promise<Compiled>>();

/**
 * The shared object of a source: the one that is kept, or a new one.
 *
 * @throws DeviceUnavailable if it cannot be compiled or kept.
 */
export async function compileC(
  compiler: Compiler,
  source: string,
  kind: keyof typeof OPTIMIZE,
): Promise<Compiled> {
  const { name, flags } = await filesFor(compiler, source, kind);
  const known = underWay.get(name) ?? compileOnce(compiler, source, { name, flags });
  underWay.set(name, known);
  try {
    return await known;
  } finally {
    underWay.delete(name);
  }
}

/** What the files of a source are called, and the flags that it is compiled with. */
async function filesFor(
  { command, first, identity, processor }: Compiler,
  source: string,
  kind: keyof typeof OPTIMIZE,
) {
  const flags = [...OPTIMIZE[kind], ...FLAGS, ...processor];
  return { flags, name: await nameFor(source, command, ...first, identity, ...flags) };
}

/** Whether a source was compiled before. */
export async function isKept(
  compiler: Compiler,
  source: string,
  kind: keyof typeof OPTIMIZE,
): Promise<boolean> {
  const { name } = await filesFor(compiler, source, kind);
  return await isThere(`${compiler.directory}/${name}.so`);
}

async function compileOnce(
  compiler: Compiler,
  source: string,
  { name, flags }: { readonly name: string; readonly flags: readonly string[] },
): Promise<Compiled> {
  const { command, directory } = compiler;
  const files = { object: `${directory}/${name}.so`, source: `${directory}/${name}.c` };
  if (await isWhole(files.object)) {
    await useText(files.source, source);
    return files;
  }
  if (!mayCompile()) {
    throw unavailable(`${directory} has no code for this Program; run Deno with --allow-run=${command}`);
  }
  await prepare(directory); // it may have been cleared since the compiler was found
  await checkOwn(directory);
  await keepText(files.source, source);
  await keep(directory, files.object, async (to) => {
    const { success, stderr } = await runCompiler(compiler, [
      ...flags,
      files.source,
      "-o",
      to,
      ...LIBRARIES,
    ]);
    if (!success || !await isThere(to)) throw failed(compiler, stderr);
  });
  return files;
}
