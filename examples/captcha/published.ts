/**
 * The reader of captchas that the Python package ddddocr publishes (MIT license, sml2h3, 2022). pip brings it, without
 * the packages that it depends on, and nothing in it is run; it stays in the user's cache folder.
 */
import { cacheFolder } from "../support/cache_folder.ts";
import { findPython, outputOf } from "../support/python.ts";
import type { Log } from "../support/section.ts";

const PACKAGE = "ddddocr==1.6.1";

/** Its files, with their SHA-256. */
const MODEL = ["common.onnx", "33b5cd351ee94e73a6bf8fa18c415ed8b819b3ffd342e267c30d8ad8334e34e8"] as const;
const CHARSETS = ["charsets.py", "ae99cf71e1dd738d50d2c2d2bf8544c16a7d23452e9b64346d3ac4dbff83510f"] as const;

/** A reader as it is published. */
export interface Published {
  /** An ONNX file. */
  readonly file: Uint8Array;
  /** The character of each class; that of the blank, the first, is empty. */
  readonly charset: readonly string[];
}

/**
 * The reader, 54 MB. The first call downloads the package, 72 MB.
 *
 * @throws Error if it cannot be downloaded and the cache has no copy, or if these are other files.
 */
export async function publishedReader(log: Log): Promise<Published> {
  const folder = await installed(log);
  const [file, charsets] = await Promise.all([MODEL, CHARSETS].map(async ([name, expected]) => {
    const bytes = await Deno.readFile(`${folder}/ddddocr/${name}`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    if (digest === expected) return bytes;
    throw new Error(`Cannot use ${folder}/ddddocr/${name}: its SHA-256 is ${digest}, expected ${expected}`);
  }));
  return { file, charset: charsetIn(new TextDecoder().decode(charsets)) };
}

/** The folder with the package, which is installed if it is not there. */
async function installed(log: Log): Promise<string> {
  const folder = cacheFolder(PACKAGE.replace("==", "-"));
  if (folder === undefined) {
    throw new Error(`Cannot install ${PACKAGE}: the environment names no cache folder`);
  }
  if (await Deno.stat(folder).then(() => true, () => false)) return folder;
  const { program } = await findPython(undefined, `pip, which comes with it, downloads ${PACKAGE}`);
  log(`downloading ${PACKAGE}, 72 MB, into ${folder}`);
  const parent = folder.slice(0, folder.lastIndexOf("/"));
  await Deno.mkdir(parent, { recursive: true });
  const made = await Deno.makeTempDir({ dir: parent });
  const only = ["--no-deps", "--no-compile", "--only-binary", ":all:", "--disable-pip-version-check"];
  await outputOf(program, ["-m", "pip", "install", "--quiet", ...only, "--target", made, PACKAGE]);
  await Deno.rename(made, folder); // whole, or not there
  return folder;
}

/** The last list of texts in a Python file. */
function charsetIn(python: string): string[] {
  const list = python.slice(python.lastIndexOf(" = ["));
  return [...list.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g)].map(([, single, double]) =>
    JSON.parse(`"${single?.replaceAll('"', '\\"') ?? double}"`)
  );
}
