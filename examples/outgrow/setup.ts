/** The Python side of the example: giving a Python an environment with pinned packages, running scripts. */
import { findPython, outputOf } from "../support/python.ts";
import type { Log } from "../support/section.ts";

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
  const { program, version } = await findPython(named, "--python PYTHON names one");
  const python = windows ? `${folder}/Scripts/python.exe` : `${folder}/bin/python`;
  const packages = await Deno.readTextFile(requirements);
  // Written last, so that an environment that was left half-made is made anew.
  const stamp = `${folder}/made-for.txt`;
  const madeFor = `# Python ${version.join(".")}\n${packages}`;
  if (await Deno.readTextFile(stamp).catch(() => "") === madeFor) {
    log(`Python ${version.join(".")} with its packages: ${folder}`);
  } else {
    log(`making an environment for Python ${version.join(".")} in ${folder}`);
    await outputOf(program, ["-m", "venv", "--clear", folder], ENVIRONMENT);
    log("installing the packages of requirements.txt, which takes minutes (on Linux 6 GB on the disk)");
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    await outputOf(python, [...pip, "--requirement", pathOf("requirements.txt")], ENVIRONMENT);
    await Deno.writeTextFile(stamp, madeFor);
  }
  return environmentOf(python);
}

/** A Python that has the packages already. */
export function environmentOf(python: string): PythonEnvironment {
  return {
    run: (script, ...args) => outputOf(python, [pathOf(script), ...args], ENVIRONMENT),
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
