/** Python programs beside an example: finding a Python that is new enough, and what it prints. */

/** A Python and its version, such as [3, 12]. */
export interface Python {
  readonly program: string;
  readonly version: readonly number[];
}

/** The oldest Python that the examples' packages run on. */
const OLDEST = [3, 10] as const;

/**
 * The first of `python3` and `python` that is new enough, or the one that is named.
 *
 * @param remedy What one can do where there is none, for the error.
 * @throws Error where there is none, saying what was tried.
 */
export async function findPython(named: string | undefined, remedy: string): Promise<Python> {
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
    `Cannot go on: there is no Python ${OLDEST.join(".")} or newer (${found.join(", ")}); ${remedy}`,
  );
}

/** What a program prints. Throws with its standard error where it fails. */
export async function outputOf(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { success, code, stdout, stderr } = await new Deno.Command(program, { args: [...args], env })
    .output();
  const [text, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (success) return text;
  throw new Error(`${program} ${args.join(" ")} fails with status ${code}:\n${errors || text}`);
}

async function versionOf(program: string): Promise<readonly number[] | undefined> {
  try {
    const text = await outputOf(program, ["-c", "import sys; print(*sys.version_info[:2])"]);
    const version = text.trim().split(" ").map(Number);
    return version.length === 2 && version.every(Number.isInteger) ? version : undefined;
  } catch {
    return undefined; // no such program, or one that is no Python
  }
}
