/**
 * What the device native needs of the machine, and what it says where that is missing: permissions, a compiler, a cache.
 * Each case is a process of its own.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { missing } from "./backends.ts";

const PERMISSIONS = ["--allow-ffi", "--allow-run=cc", "--allow-env", "--allow-read", "--allow-write"];
const RIGHT = [2, 4, 6, 8];

interface Case {
  readonly device?: string;
  readonly permissions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What a shell does before it becomes the process, with file systems of its own; `$XDG_CACHE_HOME` is the cache. */
  readonly before?: string;
}

interface Outcome {
  readonly device?: string;
  readonly result?: readonly number[];
  readonly hasSmallNumbers?: boolean;
  readonly error?: string;
  readonly warnings: string;
}

/** A command after what a shell does, which sees what the shell mounts and nobody else does. */
function apart(before: string, command: readonly string[]): readonly string[] {
  return ["unshare", "--map-root-user", "--mount", "sh", "-ec", `${before}\nexec "$@"`, "sh", ...command];
}

/** What comes of a Program in a process with these permissions and variables. */
async function outcomeOf(
  cache: string,
  { device = "native", permissions = PERMISSIONS, env, before }: Case,
): Promise<Outcome> {
  const script = new URL("./add.ts", import.meta.url).pathname;
  const deno = [Deno.execPath(), "run", "--no-check", "--no-prompt", ...permissions, script, device];
  const [command, ...args] = before === undefined ? deno : apart(before, deno);
  const { stdout, stderr } = await new Deno.Command(command, {
    args,
    env: { NO_COLOR: "1", XDG_CACHE_HOME: cache, CC: "cc", ...env },
    cwd: cache, // where Deno itself puts a relative cache
  }).output();
  const text = new TextDecoder();
  return { ...JSON.parse(text.decode(stdout)), warnings: text.decode(stderr) };
}

function test(name: string, fn: (cache: string) => Promise<void>, ignore = false): void {
  Deno.test({
    name: `native: ${name}`,
    ignore: ignore || missing !== undefined,
    async fn() {
      const cache = await Deno.makeTempDir();
      try {
        await fn(cache);
      } finally {
        await Deno.remove(cache, { recursive: true });
      }
    },
  });
}

async function filesOf(cache: string, ending: string): Promise<string[]> {
  const directory = `${cache}/cellfold/native`;
  return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => `${directory}/${name}`).filter((
    path,
  ) => path.endsWith(ending));
}

/** Writes a compiler that is a script. */
async function fakeCompiler(cache: string, script: string, name = "compiler"): Promise<string> {
  const path = `${cache}/${name}`;
  await Deno.writeTextFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

test("runs, and auto takes it where it is permitted", async (cache) => {
  for (const device of ["native", "auto"]) {
    const { device: on, result, error } = await outcomeOf(cache, { device });
    assertEquals([on, result, error], ["native", RIGHT, undefined]);
  }
  const { mode } = await Deno.stat(`${cache}/cellfold/native`);
  assertEquals((mode ?? 0) & 0o777, 0o700);
});

test("says which permissions are missing, and auto takes wasm in silence", async (cache) => {
  for (const flag of PERMISSIONS) {
    const permissions = PERMISSIONS.filter((other) => other !== flag);
    const { error } = await outcomeOf(cache, { permissions });
    assertStringIncludes(error ?? "", flag.replace(/=.*/, ""));
    const auto = await outcomeOf(cache, { permissions, device: "auto" });
    assertEquals([auto.device, auto.result, auto.warnings], ["wasm", RIGHT, ""]);
  }
});

test("what is kept needs no compiler", async (cache) => {
  await outcomeOf(cache, {});
  const permissions = PERMISSIONS.filter((flag) => flag !== "--allow-run=cc");
  const { result, error } = await outcomeOf(cache, { permissions });
  assertEquals([result, error], [RIGHT, undefined]);
});

test("a later process does not run the compiler, unless it is another file", async (cache) => {
  const CC = await fakeCompiler(cache, `echo run >> ${cache}/runs; exec cc "$@"`);
  const given = { permissions: ["--allow-all"], env: { CC } };
  const runs = async () => {
    assertEquals((await outcomeOf(cache, given)).result, RIGHT);
    return (await Deno.readTextFile(`${cache}/runs`)).trim().split("\n").length;
  };
  const first = await runs();
  assertEquals(first, 3); // what it is, the runtime and the Program
  if (Deno.build.os === "linux") assertEquals(await runs(), first);
  const before = await runs();
  await Deno.utime(CC, new Date(), new Date(Date.now() - 60_000));
  assertEquals(await runs(), before + 1);
});

test("the compiler is called as CC says, with flags, or a file whose name has spaces", async (cache) => {
  const log = `${cache}/log`;
  const script = `echo "$1 $2" >> ${log}; shift 2; exec cc "$@"`;
  const CC = `  ${await fakeCompiler(cache, script)}  -m64 \t-g `;
  const command = CC.trim().split(" ")[0];
  const permissions = ["--allow-ffi", "--allow-env", "--allow-read", "--allow-write"];
  assertMatch(
    (await outcomeOf(cache, { env: { CC }, permissions })).error ?? "",
    /--allow-run=\S+\/compiler$/,
  );
  const { result } = await outcomeOf(cache, {
    env: { CC },
    permissions: [...permissions, `--allow-run=${command}`],
  });
  assertEquals([result, await Deno.readTextFile(log)], [RIGHT, "-m64 -g\n".repeat(3)]);
  const spaced = await fakeCompiler(cache, `echo "${log}" >> ${log}; exec cc "$@"`, "a compiler -m64");
  for (const CC of [spaced, `env ${command} -m64 -g`]) {
    await Deno.remove(log);
    assertEquals((await outcomeOf(cache, { permissions: ["--allow-all"], env: { CC } })).result, RIGHT);
    assertEquals((await Deno.readTextFile(log)).trim().split("\n").length, 3, CC);
  }
  const none = await outcomeOf(cache, { permissions: ["--allow-all"], env: { CC: `${cache}/none -g` } });
  assertMatch(none.error ?? "", /there is no C compiler \S+\/none;/);
  const wrong = await outcomeOf(cache, { permissions: ["--allow-all"], env: { CC: "cc -fnone" } });
  assertStringIncludes(wrong.error ?? "", "the C compiler cc -fnone fails:");
});

test("flags of CC that let the compiler change floats do not act, also not on the process", async (cache) => {
  for (const flags of ["-ffast-math", "-Ofast", "-funsafe-math-optimizations -ffinite-math-only"]) {
    const { result, hasSmallNumbers, error } = await outcomeOf(cache, {
      env: { CC: `cc ${flags}` },
      permissions: ["--allow-all"],
    });
    assertEquals([result, hasSmallNumbers, error], [RIGHT, true, undefined], flags);
  }
});

test("what is kept of another processor is refused", async (cache) => {
  if (Deno.build.arch !== "x86_64") return;
  // No processor since 2017 has XOP.
  const script = 'exec cc -mxop "$@"';
  const given = { permissions: ["--allow-all"], env: { CC: await fakeCompiler(cache, script) } };
  assertStringIncludes((await outcomeOf(cache, given)).error ?? "", "another processor");
  assertEquals((await outcomeOf(cache, { ...given, device: "auto" })).device, "wasm");
});

test("says that there is no compiler, and auto that it takes wasm", async (cache) => {
  const given = { permissions: ["--allow-all"], env: { CC: `${cache}/none` } };
  assertMatch(
    (await outcomeOf(cache, given)).error ?? "",
    /there is no C compiler .*none; install gcc or clang/,
  );
  const { device, result, warnings } = await outcomeOf(cache, { ...given, device: "auto" });
  assertEquals([device, result], ["wasm", RIGHT]);
  assertEquals(warnings.trim().split("\n").length, 1);
  assertStringIncludes(warnings, "native cannot run here: there is no C compiler");
});

test("shows what a failing compiler says", async (cache) => {
  const CC = await fakeCompiler(
    cache,
    'case "$*" in *-dM*) echo "#define A 1";; *) echo "no space for me" >&2; exit 1;; esac',
  );
  const given = { permissions: ["--allow-all"], env: { CC } };
  assertStringIncludes((await outcomeOf(cache, given)).error ?? "", "no space for me");
  assertEquals((await outcomeOf(cache, { ...given, device: "auto" })).device, "wasm");
});

test("says that a compiler makes nothing, or fails in silence", async (cache) => {
  for (const script of ["exit 0", "exit 3", 'case "$*" in *-dM*) echo "#define A 1";; esac']) {
    const given = { permissions: ["--allow-all"], env: { CC: await fakeCompiler(cache, script) } };
    assertMatch((await outcomeOf(cache, given)).error ?? "", /C compiler .* fails, and does not say why/);
  }
});

test("a directory that others may write to is not used, also if there is code", async (cache) => {
  await outcomeOf(cache, {});
  await Deno.chmod(`${cache}/cellfold/native`, 0o770);
  assertMatch(
    (await outcomeOf(cache, {})).error ?? "",
    /^RangeError: Cannot use the device native: others may/,
  );
  assertEquals((await outcomeOf(cache, { device: "auto" })).device, "wasm");
});

test("a relative cache directory does not count", async (cache) => {
  const env = { XDG_CACHE_HOME: "some/cache", HOME: cache };
  assertEquals((await outcomeOf(cache, { env, permissions: ["--allow-all"] })).result, RIGHT);
  assert((await Deno.stat(`${cache}/.cache/cellfold/native`)).isDirectory);
});

test("says that what the compiler makes cannot be loaded", async (cache) => {
  const script =
    'case "$*" in *-dM*) echo "#define A 1";; *) while [ "$1" != -o ]; do shift; done; echo hm > "$2";; esac';
  const given = { permissions: ["--allow-all"], env: { CC: await fakeCompiler(cache, script) } };
  assertStringIncludes((await outcomeOf(cache, given)).error ?? "", "cannot be loaded");
});

test("a cache that cannot be written is named", async (cache) => {
  await Deno.writeTextFile(`${cache}/file`, "");
  const given = { permissions: ["--allow-all"], env: { XDG_CACHE_HOME: `${cache}/file` } };
  assertMatch((await outcomeOf(cache, given)).error ?? "", /file\/cellfold\/native cannot be written/);
  assertEquals((await outcomeOf(cache, { ...given, device: "auto" })).device, "wasm");
});

test("what is kept of the compiler and is damaged is made anew, or the flag for that is named", async (cache) => {
  await outcomeOf(cache, {});
  const path = `${cache}/cellfold/native/compiler-cc.json`, kept = await Deno.readTextFile(path);
  for (
    const damaged of ["", "{", "{}", "null", "[]", JSON.stringify({ ...JSON.parse(kept), processor: 1 })]
  ) {
    await Deno.writeTextFile(path, damaged);
    const permissions = PERMISSIONS.filter((flag) => flag !== "--allow-run=cc");
    const { error } = await outcomeOf(cache, { permissions });
    assertMatch(error ?? "", /native has no code; run Deno with --allow-run=cc$/);
    assertEquals((await outcomeOf(cache, {})).result, RIGHT, damaged);
    assertEquals(await Deno.readTextFile(path), kept);
  }
});

test("a damaged file is made anew", async (cache) => {
  await outcomeOf(cache, {});
  const files = await filesOf(cache, ".so");
  assertEquals(files.length, 2);
  const sizes = new Map<string, number>();
  for (const [index, path] of files.entries()) {
    const bytes = await Deno.readFile(path);
    sizes.set(path, bytes.length);
    if (index === 0) await Deno.writeFile(path, bytes.subarray(0, 1000));
    else await Deno.writeFile(path, bytes.with(bytes.length >> 1, bytes[bytes.length >> 1] ^ 1));
  }
  assertEquals((await outcomeOf(cache, {})).result, RIGHT);
  for (const path of files) assertEquals((await Deno.stat(path)).size, sizes.get(path));
});

test("C that made room is written again when its code is used", async (cache) => {
  await outcomeOf(cache, {});
  const files = (await filesOf(cache, ".c")).toSorted();
  assertEquals(files.length, 2);
  const texts = await Promise.all(files.map((path) => Deno.readTextFile(path)));
  for (const path of files) await Deno.remove(path);
  assertEquals((await outcomeOf(cache, {})).result, RIGHT);
  assertEquals(await Promise.all(files.map((path) => Deno.readTextFile(path))), texts);
});

test("a cache that is cleared while a process runs is made anew", async (cache) => {
  const compiled = async (cleared: boolean) => {
    const script = new URL("./cleared_cache.ts", import.meta.url).pathname;
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--allow-all", script, ...cleared ? [cache] : []],
      env: { NO_COLOR: "1", XDG_CACHE_HOME: cache, CC: "cc" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return JSON.parse(new TextDecoder().decode(stdout));
  };
  assertEquals(await compiled(true), [5, 10, 5]);
  assertEquals(((await Deno.stat(`${cache}/cellfold/native`)).mode ?? 0) & 0o777, 0o700);
  assertEquals(await compiled(false), [5, 10, 5]);
});

test("processes side by side share a cache", async (cache) => {
  const all = await Promise.all(Array.from({ length: 4 }, () => outcomeOf(cache, {})));
  for (const { result, error } of all) assertEquals([result, error], [RIGHT, undefined]);
  const names = (await filesOf(cache, "")).map((path) => path.replace(/.*\//, ""));
  assert(names.every((name) => /^([0-9a-f]{32}\.(so|c)|compiler-\w+\.json)$/.test(name)), names.join());
});

/** Whether a process may mount file systems for itself alone. */
async function mayMount(): Promise<boolean> {
  if (missing !== undefined || Deno.build.os !== "linux") return false;
  const [command, ...args] = apart("mount -t tmpfs none /tmp", ["true"]);
  try {
    return (await new Deno.Command(command, { args }).output()).success;
  } catch {
    return false; // there is no unshare
  }
}

const canMount = await mayMount();
if (!canMount) console.warn("no file system can be mounted here: full and read-only caches are left out");
const onMounts = (name: string, fn: (cache: string) => Promise<void>) => test(name, fn, !canMount);

/** The directory of compiled code, in the shell: what Deno itself keeps lies beside it. */
const DIRECTORY = '"$XDG_CACHE_HOME/cellfold/native"';
const onTmpfs = (options: string) =>
  `mkdir -p -m 700 ${DIRECTORY}\nmount -t tmpfs -o mode=700,${options} none ${DIRECTORY}`;
const READ_ONLY = `mkdir -p -m 700 ${DIRECTORY}
mount --bind ${DIRECTORY} ${DIRECTORY}
mount -o remount,bind,ro ${DIRECTORY}`;

/** The error says why the cache is of no use, and `auto` takes wasm and says so in one line. */
async function refuses(cache: string, before: string, why: RegExp): Promise<void> {
  const { error } = await outcomeOf(cache, { before });
  assertMatch(error ?? "", why);
  const { device, result, warnings } = await outcomeOf(cache, { before, device: "auto" });
  assertEquals([device, result], ["wasm", RIGHT]);
  assertEquals(warnings.trim().split("\n").length, 1, warnings);
  assertMatch(warnings, why);
  assert(!warnings.includes("Cannot"), warnings);
}

/** In what a file of a tmpfs is counted. */
const PAGE = 4096;

onMounts("a full cache is named, or what the compiler says of it", async (cache) => {
  await refuses(cache, onTmpfs("size=16k"), /cellfold\/native cannot be written \(No space left/); // no source
  await outcomeOf(cache, {});
  const all = await Array.fromAsync(Deno.readDir(`${cache}/cellfold/native`), async ({ name }) => {
    const { size } = await Deno.stat(`${cache}/cellfold/native/${name}`);
    return name.endsWith(".so") ? 0 : Math.ceil(size / PAGE) * PAGE;
  });
  const sources = all.reduce((sum, size) => sum + size) + 2 * PAGE; // no code beside them
  await refuses(cache, onTmpfs(`size=${sources}`), /the C compiler cc fails:.*No space left/s);
});

onMounts("runs from a read-only cache that has the code, and names one that does not", async (cache) => {
  await refuses(cache, READ_ONLY, /cellfold\/native cannot be written \(Read-only file system/);
  await outcomeOf(cache, {});
  for (const device of ["native", "auto"]) {
    const { device: on, result, warnings } = await outcomeOf(cache, { before: READ_ONLY, device });
    assertEquals([on, result, warnings], ["native", RIGHT, ""]);
  }
});

onMounts("a cache whose code may not be executed is named", async (cache) => {
  await refuses(cache, onTmpfs("noexec"), /cannot be loaded/);
});
