/**
 * Prints how large the library is in a page, minified and gzipped: all of it as one file, what a page loads first, and
 * what one loads that only predicts; each with its largest folders, minified only.
 */
import configuration from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);

/** What a page that only predicts has: a model, and weights from elsewhere. */
const PREDICTING = `
  import { dense, lstm, predict, sequential } from "@cellfold/cellfold";
  const model = sequential([lstm({ units: 64 }), dense({ units: 10, activation: "softmax" })]);
  export const run = (variables, x) => predict(model, variables, x);
`;

/** How many folders are named. */
const MOST_FOLDERS = 12;

/** The part of esbuild that is used; it is imported by a computed name, so that checking does not download it. */
interface Esbuild {
  build(options: Readonly<Record<string, unknown>>): Promise<Built>;
  stop(): Promise<void>;
}

interface Built {
  readonly outputFiles: readonly { readonly path: string; readonly contents: Uint8Array<ArrayBuffer> }[];
  readonly metafile: { readonly outputs: Readonly<Record<string, Output>> };
}

/** A file that is made, with the sources in it and what it imports. */
interface Output {
  readonly entryPoint?: string;
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
  readonly inputs: Readonly<Record<string, { readonly bytesInOutput: number }>>;
}

/** A file of the bundle, and its size. */
type File = Output & { readonly name: string; readonly gzipped: number };

/** Finds the sources, and says of each what package.json says of the package: that importing it does nothing. */
const sources = {
  name: "sources",
  setup(build: { onResolve(filter: { filter: RegExp }, find: (args: Resolved) => unknown): void }) {
    const imports: Readonly<Record<string, string>> = configuration.imports;
    const found = (path: string, base: URL | string) => ({
      path: new URL(path, base).pathname,
      sideEffects: false,
    });
    build.onResolve({ filter: /^@cellfold\// }, ({ path }) => found(imports[path], ROOT));
    build.onResolve({ filter: /^\./ }, ({ path, resolveDir }) => found(path, `file://${resolveDir}/`));
  },
};

interface Resolved {
  readonly path: string;
  readonly resolveDir: string;
}

async function gzippedSize(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).bytes()).length;
}

async function bundle(esbuild: Esbuild, contents: string, splitting: boolean): Promise<File[]> {
  const { outputFiles, metafile } = await esbuild.build({
    stdin: { contents, resolveDir: ROOT.pathname, sourcefile: "page.js" },
    absWorkingDir: ROOT.pathname,
    bundle: true,
    minify: true,
    splitting,
    format: "esm",
    outdir: "dist",
    write: false,
    metafile: true,
    external: ["node:*"],
    plugins: [sources],
  });
  return await Promise.all(
    Object.entries(metafile.outputs).map(async ([name, output]) => {
      const { contents } = outputFiles.find(({ path }) => path.endsWith(`/${name}`)) ?? outputFiles[0];
      return { ...output, name, gzipped: await gzippedSize(contents) };
    }),
  );
}

/** The files that are loaded together with the entry points that are chosen. */
function loaded(files: readonly File[], isChosen: (entryPoint: string) => boolean): File[] {
  const names = new Set(
    files.flatMap(({ name, entryPoint }) => entryPoint && isChosen(entryPoint) ? [name] : []),
  );
  for (const name of names) {
    const imports = files.find((file) => file.name === name)?.imports ?? [];
    for (const { path, kind } of imports) if (kind === "import-statement") names.add(path);
  }
  return files.filter(({ name }) => names.has(name));
}

function print(what: string, files: readonly File[]): void {
  const total = files.reduce((sum, { gzipped }) => sum + gzipped, 0);
  const folders = new Map<string, number>();
  for (const { inputs } of files) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = path.split("/").slice(0, -1).slice(0, 2).join("/");
      folders.set(folder, (folders.get(folder) ?? 0) + bytesInOutput);
    }
  }
  const largest = [...folders].sort(([, a], [, b]) => b - a).slice(0, MOST_FOLDERS);
  console.log(`${what}: ${kilobytes(total)} gzipped`);
  console.log(`  ${largest.map(([folder, bytes]) => `${folder} ${kilobytes(bytes)}`).join(", ")}`);
}

const kilobytes = (bytes: number) => `${Math.round(bytes / 1000)} kB`;

if (import.meta.main) {
  const esbuild: Esbuild = await import(["npm:esbuild", "0.25"].join("@"));
  try {
    const all = 'export * from "@cellfold/cellfold";';
    const isPage = (entry: string) => entry.endsWith("page.js");
    print("All, in one file", await bundle(esbuild, all, false));
    print("All, loaded first", loaded(await bundle(esbuild, all, true), isPage));
    const predicting = await bundle(esbuild, PREDICTING, true);
    print("Only predict, loaded first", loaded(predicting, isPage));
    const isWasm = (entry: string) =>
      isPage(entry) || /kernels\/(wasm|cpu)\/|src\/passes\/|src\/transforms\/compiling/.test(entry);
    print("Only predict, with what it then loads for wasm", loaded(predicting, isWasm));
  } finally {
    await esbuild.stop();
  }
}
