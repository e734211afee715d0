/** The Python side of the example: finding a Python, giving it an environment with pinned packages, running scripts. */
import type { Log } from "../support/section.ts";

/** The oldest Python that the pinned packages run on. */
const OLDEST = [3, 10] as const;

const requirements = new URL("requirements.txt", import.meta.url);
const windows = Deno.build.os === "windows";

/** An environment that has the pinned packages. */
export interface PythonEnvironment {
  /** Runs a script of this folder; its standard output. Throws with its standard error where it fails. */
  run(script: string, ...args: readonly string[]): Promise<string>;
  /** Starts a script of this folder, its standard output piped. */
  start(script: string, ...args: readonly string[]): Deno.ChildProcess;
}

/**
 * Makes a virtual environment in a folder and installs requirements.txt in it. Where this has been done, and for the
 * same packages and Python, nothing is done.
 *
 * @param named The Python to make it with; default: the first of `python3` and `python` that is new enough.
 * @throws Error where there is no such Python, or its packages cannot be installed.
 */
export async function setUpPython(
  folder: string,
  named: string | undefined,
  log: Log,
): Promise<PythonEnvironment> {
  const { program, version } = await findPython(named);
  const python = windows ? `${folder}/Scripts/python.exe` : `${folder}/bin/python`;
  const packages = await Deno.readTextFile(requirements);
  // Written last, so that an environment that was left half-made is made anew.
  const stamp = `${folder}/made-for.txt`;
  const madeFor = `# Python ${version.join(".")}\n${packages}`;
  if (await Deno.readTextFile(stamp).catch(() => "") === madeFor) {
    log(`Python ${version.join(".")} with its packages: ${folder}`);
  } else {
    log(`making an environment for Python ${version.join(".")} in ${folder}`);
    await output(program, ["-m", "venv", "--clear", folder]);
    log("installing the packages of requirements.txt, which takes minutes (on Linux 6 GB on the disk)");
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    await output(python, [...pip, "--requirement", pathOf("requirements.txt")]);
    await Deno.writeTextFile(stamp, madeFor);
  }
  return environmentOf(python);
}

/** A Python that has the packages already. */
export function environmentOf(python: string): PythonEnvironment {
  return {
    run: (script, ...args) => output(python, [pathOf(script), ...args]),
    start: (script, ...args) =>
      new Deno.Command(python, { args: [pathOf(script), ...args], env: ENVIRONMENT, stdout: "piped" })
        .spawn(),
  };
}

/** The first line of a process's output; undefined where it ends without one. The rest is not read. */
export async function firstLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string | undefined> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n")).trim();
  }
  return undefined;
}

/** Two workers share the machine, so each computes on one thread; nothing is sent to Ray's makers. */
const ENVIRONMENT = { OMP_NUM_THREADS: "1", CUDA_VISIBLE_DEVICES: "", RAY_USAGE_STATS_ENABLED: "0" };

function pathOf(name: string): string {
  const { pathname } = new URL(name, import.meta.url);
  return decodeURIComponent(windows ? pathname.slice(1) : pathname); // /C:/… is C:/…
}

async function output(program: string, args: readonly string[]): Promise<string> {
  const command = new Deno.Command(program, { args: [...args], env: ENVIRONMENT });
  const { success, code, stdout, stderr } = await command.output();
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (success) return text;
  throw new Error(`${program} ${args.join(" ")} fails with status ${code}:\n${errors || text}`);
}

async function findPython(
  named: string | undefined,
): Promise<{ program: string; version: readonly number[] }> {
  const programs = named === undefined ? ["python3", "python"] : [named];
  const found: string[] = [];
  for (const program of programs) {
    const version = await versionOf(program);
    if (version === undefined) {
      found.push(`${program} does not run`);
    } else if (version[0] > OLDEST[0] || (version[0] === OLDEST[0] && version[1] >= OLDEST[1])) {
      return { program, version };
    } else found.push(`${program} is ${version.join(".")}`);
  }
  throw new Error(
    `Cannot go on: there is no Python ${OLDEST.join(".")} or newer (${
      found.join(", ")
    }); --python PYTHON names one`,
  );
}

async function versionOf(program: string): Promise<readonly number[] | undefined> {
  try {
    const text = await output(program, ["-c", "import sys; print(*sys.version_info[:2])"]);
    const version = text.trim().split(" ").map(Number);
    return version.length === 2 && version.every(Number.isInteger) ? version : undefined;
  } catch {
    return undefined; // no such program, or one that is no Python
  }
}
