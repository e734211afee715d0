/**
 * Makes the packages for npm: the library as `dist/cellfold-cellfold-<version>.tgz`, and the command that `npm create
 * cellfold` runs as `dist/create-cellfold-<version>.tgz`. They have the sources file by file as JavaScript, types and
 * source maps, by TypeScript's own compiler, and are packed by npm. `deno pack` is no choice yet: it leaves `type` in
 * lists of exports and gives no types for modules that infer some.
 *
 * The compiler knows only the library of the oldest Node, so that whatever is newer is an error here.
 */
import configuration from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const TYPESCRIPT = "5.9";

/** The oldest Node, and what it has: ECMAScript of 2023, and some of what came later. */
const OLDEST_NODE = 20;
const LIBRARY = ["es2023", "es2024.string", "esnext.disposable"];

/** What is compiled, where it is needed. */
const SOURCES = ["mod.ts", "src", "kernels", "formats"];

/** A package that is made. */
interface Package {
  /** Its `package.json`. */
  readonly manifest: object;
  /** The files that are compiled, with those that they import. */
  readonly entries: readonly string[];
  /** Files that go into it: texts by name. */
  readonly documents: Readonly<Record<string, string>>;
}

/** The path of what a source becomes. */
const compiled = (path: string, ending: string) => path.replace("./", "./dist/").replace(/\.ts$/, ending);

const document = (name: string) => Deno.readTextFile(new URL(name, ROOT));

/** Packages that only tests import. */
const FOR_TESTS = ["fast-check", "playwright-core"];

/** The library, and its files: what `import` gives, and types. */
async function library(): Promise<Package> {
  const { name, version, license, exports, imports } = configuration;
  const dependencies = Object.values(imports).flatMap((to) => {
    const found = /^npm:(.+)@([\d.]+)$/.exec(to);
    return found && !FOR_TESTS.includes(found[1]) ? [[found[1], `^${found[2]}`]] : [];
  });
  const manifest = {
    name,
    version,
    description: "Recurrent neural networks: cells are pure functions, folded over sequences and compiled",
    keywords: ["rnn", "lstm", "gru", "neural-network", "webassembly", "webgpu", "machine-learning"],
    license,
    ...repository(),
    type: "module",
    engines: { node: `>=${OLDEST_NODE}` },
    sideEffects: false,
    exports: Object.fromEntries(
      Object.entries(exports).map(([entry, path]) => [
        entry,
        { types: compiled(path, ".d.ts"), default: compiled(path, ".js") },
      ]),
    ),
    files: ["dist", "CHANGELOG.md"],
    // What formats import; the library imports none of them, and `npm install --omit=optional` leaves them out.
    optionalDependencies: Object.fromEntries(dependencies),
  };
  return {
    manifest,
    entries: Object.values(exports),
    documents: {
      "README.md": await document("README.md"),
      "CHANGELOG.md": await document("CHANGELOG.md"),
      "LICENSE": await document("LICENSE"),
    },
  };
}

/** What `create` is for users of npm; it needs no other package. */
async function create(): Promise<Package> {
  const { version, license, exports } = configuration;
  const bin = "./formats/create/bin.ts";
  const name = "create-cellfold";
  const description = "Makes a small project with a recurrent network, for Deno, Node or Vite";
  const usage = "npm create cellfold@latest my-model\nnpm create cellfold@latest my-model -- --template vite";
  return {
    manifest: {
      name,
      version,
      description,
      keywords: ["create", "cellfold", "rnn", "lstm", "machine-learning"],
      license,
      ...repository(),
      type: "module",
      engines: { node: `>=${OLDEST_NODE}` },
      bin: { [name]: compiled(bin, ".js") },
      exports: {
        ".": { types: compiled(exports["./create"], ".d.ts"), default: compiled(exports["./create"], ".js") },
      },
      files: ["dist"],
    },
    entries: [bin, exports["./create"]],
    documents: {
      "README.md": `# ${name}\n\n${description}, that trains, predicts and tests with ` +
        `[Cellfold](https://www.npmjs.com/package/${configuration.name}).\n\n` +
        `\`\`\`sh\n${usage}\n\`\`\`\n`,
      "LICENSE": await document("LICENSE"),
    },
  };
}

/** Where the sources are, which npm compares with where a package with provenance is published from. */
function repository() {
  const name = Deno.env.get("GITHUB_REPOSITORY");
  return name ? { repository: { type: "git", url: `git+https://github.com/${name}.git` } } : {};
}

/** The compiler's options: a package's own name means its sources. */
function compilerOptions() {
  const own = Object.entries(configuration.imports).filter(([name]) => name.startsWith(configuration.name));
  return {
    target: "es2022",
    lib: LIBRARY,
    types: ["node"],
    module: "nodenext",
    rewriteRelativeImportExtensions: true,
    declaration: true,
    sourceMap: true,
    inlineSources: true,
    strict: true,
    noImplicitOverride: true,
    noEmitOnError: true,
    skipLibCheck: true,
    rootDir: ".",
    outDir: "dist",
    paths: Object.fromEntries(own.map(([name, path]) => [name, [path]])),
  };
}

/** Types of Deno's globals, without the library of ECMAScript that they bring along, and with what they lack. */
async function denoTypes(): Promise<string> {
  const types = await run(Deno.execPath(), ["types"], ROOT);
  const timers =
    "declare function setTimeout(run: (...given: any[]) => void, delay?: number, ...given: unknown[]): number;\n";
  return timers + types.replaceAll(/^\/\/\/ <reference (no-default-lib|lib="esnext").*$/gm, "");
}

async function run(command: string, args: readonly string[], cwd: string | URL): Promise<string> {
  const env = { NO_COLOR: "1" };
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], cwd, env }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`Cannot run ${command} ${args.join(" ")}: ${text(stdout)}${text(stderr)}`);
  return text(stdout);
}

async function copy(from: URL, to: string): Promise<void> {
  if (Deno.statSync(from).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(new URL(`${from}/${name}`), `${to}/${name}`);
}

/**
 * Types name each other's files as sources do, with the ending `.ts`; with `.js` they suit every way of resolving.
 * Those that use disposal say so, as the library of many projects lacks it.
 */
async function finishTypes(folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) await finishTypes(path);
    else if (name.endsWith(".d.ts")) {
      const types = await Deno.readTextFile(path);
      const reference = /Disposable|Symbol\.dispose/.test(types)
        ? '/// <reference lib="esnext.disposable" />\n'
        : "";
      const renamed = types.replaceAll(/((?:from|import\() ?"\.[^"]*)\.ts"/g, '$1.js"');
      await Deno.writeTextFile(path, reference + renamed);
    }
  }
}

/** Makes the library's package in a folder, and gives its path. */
export async function makePackage(destination: string): Promise<string> {
  return await pack(await library(), destination);
}

/** Makes the package of the command `create` in a folder, and gives its path. */
export async function makeCreatePackage(destination: string): Promise<string> {
  return await pack(await create(), destination);
}

async function pack({ manifest, entries, documents }: Package, destination: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    for (const name of SOURCES) await copy(new URL(name, ROOT), `${folder}/${name}`);
    for (const [name, text] of Object.entries(documents)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify(manifest, undefined, 2) + "\n");
    await Deno.writeTextFile(`${folder}/deno.d.ts`, await denoTypes());
    await Deno.writeTextFile(
      `${folder}/tsconfig.json`,
      JSON.stringify({ compilerOptions: compilerOptions(), files: ["deno.d.ts", ...entries] }),
    );
    const install = [
      "install",
      "--no-save",
      "--no-package-lock",
      "--ignore-scripts",
      `typescript@${TYPESCRIPT}`,
      `@types/node@${OLDEST_NODE}`, // for what runs native code in Node
    ];
    await run("npm", install, folder);
    await run("node", ["node_modules/typescript/bin/tsc"], folder);
    await finishTypes(`${folder}/dist`);
    await Deno.mkdir(destination, { recursive: true });
    const packed = await run("npm", ["pack", "--json", "--pack-destination", destination], folder);
    const [{ filename }]: { filename: string }[] = JSON.parse(packed);
    return `${destination}/${filename}`;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const { pathname } = new URL("dist", ROOT);
  console.log(await makePackage(pathname));
  console.log(await makeCreatePackage(pathname));
}
