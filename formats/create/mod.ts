/**
 * The command `create`: a small project that trains, predicts and tests, for Deno, Node or Vite.
 *
 *     deno create @cellfold/cellfold -- my-model
 *     npm create cellfold@latest my-model -- --template vite
 *
 * @module
 */
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { unknownName } from "../../src/known_names.ts";
import { checkOptions } from "../../src/option_names.ts";
import { quoted } from "../../src/quoted.ts";
import { inShell, type Project, templates } from "./templates.ts";

/** What a project is made for. */
export type Template = "deno" | "node" | "vite";

/** Options of {@linkcode createProject}. */
export interface CreateOptions {
  /** What the project is made for; default: the runtime that makes it, `deno` or `node`. */
  readonly template?: Template;
}

/** A project that was made. */
export interface CreatedProject {
  /** Its name: the last part of its folder's path. */
  readonly name: string;
  /** Its folder, as an absolute path. */
  readonly folder: string;
  /** What it was made for. */
  readonly template: Template;
  /** Its files, relative to the folder. */
  readonly files: readonly string[];
  /** The commands to run in it, in this order, and what each does. */
  readonly commands: readonly (readonly [command: string, does: string])[];
}

/** The longest name of a package. */
const LONGEST_NAME = 214;

/**
 * Makes a project in a folder, which may not exist yet, or be empty but for a `.git`. It gets the library from JSR or npm,
 * or, where a clone of the repository makes it, from that clone.
 *
 * @param path The folder; its last part is the project's name, and follows the rules of npm for names.
 * @throws RangeError for a folder that is not empty, a name that npm would refuse, or an unknown template; nothing
 *   is written then.
 *
 * @example
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { createProject } from "@cellfold/cellfold/create";
 * await assertRejects(() => createProject("My Model"), RangeError, 'did you mean "my-model"?');
 * await assertRejects(() => createProject("my-model", { template: "nod" as "node" }), RangeError, '"node"?');
 * ```
 */
export async function createProject(path: string, options: CreateOptions = {}): Promise<CreatedProject> {
  checkOptions("createProject", options, ["template"]);
  const { template = defaultTemplate() } = options;
  if (!Object.hasOwn(templates, template)) throw unknownName("template", template, Object.keys(templates));
  const folder = resolve(path);
  const name = basename(folder);
  checkName(path, name);
  await checkFolder(path, folder);
  const { files, commands }: Project = templates[template](name, await cloneFrom(folder));
  for (const [file, text] of Object.entries(files)) {
    const target = join(folder, file);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text, { flag: "wx" });
  }
  return { name, folder, template, files: Object.keys(files), commands };
}

/**
 * Where the clone of the repository is in which this runs, from the project's folder; undefined if it runs as a package.
 * A project that a clone makes uses the library of the clone.
 */
async function cloneFrom(folder: string): Promise<string | undefined> {
  if (!import.meta.url.startsWith("file:")) return undefined;
  const settings = new URL("../../deno.json", import.meta.url);
  const { name } = JSON.parse(await readFile(settings, "utf8").catch(() => "{}"));
  if (name !== "@cellfold/cellfold") return undefined;
  return relative(folder, fileURLToPath(new URL(".", settings))).replaceAll("\\", "/");
}

function defaultTemplate(): Template {
  return "Deno" in globalThis ? "deno" : "node";
}

function checkName(path: string, name: string): void {
  if (/^[a-z0-9][a-z0-9._~-]*$/.test(name) && name.length <= LONGEST_NAME && name !== "node_modules") return;
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9._~]+/g, "-").replace(/^[^a-z0-9]+/, "").replace(
    /-+$/,
    "",
  );
  const near = plain.slice(0, LONGEST_NAME);
  const better = near === "" || near === name || near === "node_modules" ? "my-model" : near;
  throw new RangeError(
    `Cannot create ${quoted(path)}: the project's name is ${
      quoted(name)
    }, expected lower-case letters, digits, "-", ` +
      `".", "_" or "~", beginning with a letter or digit; did you mean ${quoted(better)}?`,
  );
}

/** Throws unless the folder is free: there is none, or an empty one. */
async function checkFolder(path: string, folder: string): Promise<void> {
  const found = await stat(folder).catch((error) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!found) return;
  if (!found.isDirectory()) {
    throw new RangeError(
      `Cannot create ${quoted(path)}: it is a file, expected a new or empty folder; name another`,
    );
  }
  const contents = (await readdir(folder)).filter((entry) => entry !== ".git").sort();
  if (contents.length === 0) return;
  throw new RangeError(
    `Cannot create ${quoted(path)}: the folder has ${quoted(contents[0])}` +
      `${
        contents.length > 1 ? ` and ${contents.length - 1} more` : ""
      }, expected a new or empty one; name another`,
  );
}

/** The folder of a project for which none is named. */
const DEFAULT_PATH = "my-model";

const HELP = `Makes a small project that trains, predicts and tests a recurrent network.

  create [FOLDER] [--template NAME]

FOLDER is new or empty; default: ${DEFAULT_PATH}. NAME is:
  deno        TypeScript, no package manager; the default in Deno
  node        JavaScript and npm; the default in Node
  vite        a page that trains in a worker, TypeScript, Vite and Vitest

  --help      says this`;

/**
 * Runs the command; it asks nothing.
 *
 * @param args The arguments behind the command, as in `Deno.args`.
 * @param options `log` gets each line of what is said.
 * @throws RangeError for arguments that cannot be used, and what {@linkcode createProject} throws.
 */
export async function createCommand(
  args: readonly string[],
  { log }: { readonly log: (line: string) => void },
): Promise<void> {
  if (args.includes("--help")) return log(HELP);
  const { path, template } = parseArguments(args);
  const made = await createProject(path, { template });
  const inside = relative(resolve(), made.folder);
  const from = inside.startsWith("..") ? made.folder : inside;
  const width = Math.max(...made.commands.map(([command]) => command.length));
  log(`Made ${made.name} for ${made.template}: ${made.files.join(", ")}`);
  log("");
  if (from !== "") log(`  cd ${inShell(from)}`);
  for (const [command, does] of made.commands) log(`  ${command.padEnd(width)}  ${does}`);
}

function parseArguments(args: readonly string[]): { readonly path: string; readonly template?: Template } {
  const paths: string[] = [];
  let template: Template | undefined;
  const rest = args.filter((part) => part !== "--"); // which some runners pass on
  while (rest.length > 0) {
    const part = rest.shift() ?? "";
    const [, name, inline] = /^(--?[^=]*)(?:=(.*))?$/s.exec(part) ?? [];
    if (name === undefined) {
      paths.push(part);
      continue;
    }
    if (name !== "--template" && name !== "-t") throw unknownName("option", name, ["--template", "--help"]);
    const value = inline ?? rest.shift();
    if (value === undefined || value === "") {
      throw new RangeError(
        `Cannot use the option ${name}: it has no value, expected ${Object.keys(templates).join(", ")}`,
      );
    }
    if (template !== undefined) {
      throw new RangeError(`Cannot use the option ${name} twice; give one template`);
    }
    template = value as Template; // what is none is refused by createProject
  }
  if (paths.length > 1) {
    throw new RangeError(
      `Cannot create ${
        paths.map(quoted).join(" and ")
      }: expected one folder; a template is named by --template`,
    );
  }
  return { path: paths[0] ?? DEFAULT_PATH, ...(template !== undefined && { template }) };
}

if (import.meta.main) {
  try {
    await createCommand(Deno.args, { log: (line) => console.log(line) });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
