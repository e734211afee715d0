/**
 * Jupyter for the notebooks: `nbconvert` in a virtual environment of its own with Deno's kernel, in the user's cache
 * folder. It is made when it is first needed.
 */
import { cacheFolder } from "../../../examples/support/cache_folder.ts";
import { missingPermissions, runProcess } from "../../platforms/support/requirements.ts";

const REQUIREMENTS = new URL("./requirements.txt", import.meta.url);
const CONFIGURATION = new URL("./nbconvert_config.py", import.meta.url);
const SECONDS = 300;

const pathOf = ({ pathname }: URL) => decodeURIComponent(pathname);

/** What runs notebooks. */
export interface Jupyter {
  /**
   * Runs notebooks one after the other, each in its own folder, and writes what they become under the same name into
   * another one.
   *
   * @throws Error where a cell fails, with what it printed.
   */
  run(paths: readonly string[], to: string): Promise<void>;
  /** The environment's Python, and the variables that show it the kernel. */
  readonly python: string;
  readonly env: Readonly<Record<string, string>>;
}

async function succeed(command: readonly string[], cwd: string): Promise<void> {
  const { code, out, err } = await runProcess(command, { cwd, seconds: SECONDS });
  if (code !== 0) throw new Error(`${command.join(" ")} fails: ${err || out}`);
}

/** Makes the environment in a folder, unless that has been done for these packages. */
async function prepare(folder: string): Promise<Jupyter> {
  const python = `${folder}/bin/python`;
  const env = {
    XDG_DATA_HOME: `${folder}/share`, // where Deno puts its kernel
    JUPYTER_DATA_DIR: `${folder}/share/jupyter`,
    JUPYTER_CONFIG_DIR: `${folder}/config`,
    JUPYTER_RUNTIME_DIR: `${folder}/runtime`,
    IPYTHONDIR: `${folder}/ipython`,
    NO_COLOR: "1",
  };
  const packages = await Deno.readTextFile(REQUIREMENTS);
  const stamp = `${folder}/made-for.txt`; // written last: an environment that was left half-made is made anew
  if (await Deno.readTextFile(stamp).catch(() => "") !== packages) {
    await Deno.mkdir(folder, { recursive: true });
    await succeed(["python3", "-m", "venv", "--clear", folder], folder);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    await succeed([python, ...pip, "--requirement", pathOf(REQUIREMENTS)], folder);
    await Deno.writeTextFile(stamp, packages);
  }
  // The kernel is this Deno, which may be another one than last time.
  const install = new Deno.Command(Deno.execPath(), { args: ["jupyter", "--install", "--force"], env });
  const { success, stderr } = await install.output();
  if (!success) throw new Error(`deno jupyter --install fails: ${new TextDecoder().decode(stderr)}`);
  await Deno.stat(`${env.JUPYTER_DATA_DIR}/kernels/deno/kernel.json`); // systems differ in where it goes
  return {
    python,
    env,
    async run(paths, to) {
      const options = ["--to", "notebook", "--config", pathOf(CONFIGURATION)]; // which executes them
      const { success, stderr } = await new Deno.Command(python, {
        args: ["-m", "nbconvert", ...options, "--output-dir", to, ...paths],
        env,
      }).output();
      if (!success) throw new Error(`nbconvert fails: ${new TextDecoder().decode(stderr)}`);
    },
  };
}

/** Jupyter, or why there is none here: without permissions, Python or the packages' registry. */
export async function findJupyter(): Promise<Jupyter | { readonly missing: string }> {
  if (missingPermissions.length > 0) return { missing: missingPermissions.join(", ") };
  if (Deno.build.os === "windows") return { missing: "a system other than Windows" };
  const folder = cacheFolder("jupyter");
  if (folder === undefined) return { missing: "a cache folder" };
  try {
    return await prepare(folder);
  } catch (error) {
    const [line] = (error instanceof Error ? error.message : String(error)).trim().split("\n").slice(-1);
    return { missing: `Python with nbconvert: ${line}` };
  }
}
