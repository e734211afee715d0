/**
 * Finds MNIST for the examples: in a folder that the user names, in the cache of an earlier run, from a public mirror,
 * or else digits drawn by a generator. The source is always told, and a fallback with its reason.
 */
import { gunzip, isGzip } from "../../src/data/gzip.ts";
import { parseIdx } from "../../src/data/idx.ts";
import { type HostTensor, hostTensor, tensor } from "../../src/tensor/tensor.ts";
import { cacheFolder, isPermitted } from "./cache_folder.ts";
import { type Digits, generatedDigits } from "./generated_digits.ts";

/** SHA-256 of the content of each file, once inflated: the same bytes gzip differently from program to program. */
export type Checksums = Readonly<Record<FileName, string>>;

/** What {@linkcode loadMnist} may be told. The defaults are those of the real data set. */
export interface MnistOptions {
  /** A folder with the four IDX files, plain or `.gz`; nothing else is looked at then. */
  readonly data?: string;
  /** Where downloads are kept; default: `cellfold/mnist` in the user's cache folder; null: nowhere. */
  readonly cache?: string | null;
  /** Addresses that the file names are appended to, tried in order. */
  readonly mirrors?: readonly string[];
  readonly checksums?: Checksums;
  /** Milliseconds of silence after which a mirror is given up; default 10,000. */
  readonly timeout?: number;
  /** How many digits the generator draws; default 20,000 and 4,000. */
  readonly generated?: { readonly train: number; readonly test: number };
  /** Told what takes long or goes wrong; default: standard error. */
  readonly log?: (line: string) => void;
}

/** Images `float32[n, 28, 28]` from 0 to 1 and labels `int32[n]`, in two parts, and where they come from. */
export interface Mnist {
  /** For people: a clause that begins with "MNIST" only where it is MNIST. */
  readonly source: string;
  readonly train: Digits;
  readonly test: Digits;
}

type FileName = typeof FILES[number];
type Contents = Map<FileName, Uint8Array>;

const FILES = [
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
] as const;

const CHECKSUMS: Checksums = {
  "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
  "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
};

const MIRRORS = [
  "https://storage.googleapis.com/cvdf-datasets/mnist/",
  "https://ossci-datasets.s3.amazonaws.com/mnist/",
];

/** More than the largest file, so that a mirror gone wrong cannot fill the memory. */
const MOST_BYTES = 64 << 20;

/**
 * Finds MNIST, or draws digits in its place.
 *
 * @throws Error if `data` is given and a file is missing or cannot be parsed; without `data` it does not fail.
 */
export async function loadMnist(options: MnistOptions = {}): Promise<Mnist> {
  const log = options.log ?? ((line: string) => console.error(line));
  const checksums = options.checksums ?? CHECKSUMS;
  if (options.data !== undefined) return await fromFolder(options.data, checksums);

  const cache = options.cache === undefined ? cacheFolder("mnist") : options.cache ?? undefined;
  const contents: Contents = new Map();
  const problems: string[] = [];
  const report = (problem: string) => {
    problems.push(problem);
    log(problem);
  };
  if (cache !== undefined) await readCache(cache, checksums, contents, report);
  else if (options.cache === undefined) {
    report("No cache: the environment names no folder for it (--allow-env)");
  }
  if (isComplete(contents)) return await parse(`MNIST from the cache ${cache}`, contents);

  for (const mirror of options.mirrors ?? MIRRORS) {
    try {
      await download(mirror, { cache, checksums, contents, report, log, timeout: options.timeout ?? 10_000 });
      const kept = cache === undefined ? "" : `, cached in ${cache}`;
      return await parse(`MNIST from ${mirror}${kept}`, contents);
    } catch (error) {
      report(`No MNIST from ${mirror}: ${reason(error)}`);
    }
  }
  const { train, test } = options.generated ?? { train: 20_000, test: 4_000 };
  return {
    source: `generated digits, not MNIST (${problems.join("; ")}; --data DIR reads a copy of your own)`,
    train: generatedDigits(tensor([28, 1], { dtype: "int32" }), train),
    test: generatedDigits(tensor([28, 2], { dtype: "int32" }), test),
  };
}

function isComplete(contents: Contents): boolean {
  return FILES.every((name) => contents.has(name));
}

async function fromFolder(folder: string, checksums: Checksums): Promise<Mnist> {
  const contents: Contents = new Map();
  const missing: string[] = [];
  let isMnist = true;
  for (const name of FILES) {
    const content = await readPlainOrGzip(folder, name);
    if (content === undefined) missing.push(`neither ${name} nor ${name}.gz`);
    else contents.set(name, content);
    isMnist &&= content !== undefined && await sha256(content) === checksums[name];
  }
  if (missing.length > 0) {
    throw new Error(`Cannot read MNIST from ${folder}: it holds ${missing.join(", and ")}`);
  }
  const source = isMnist
    ? `MNIST from ${folder}`
    : `IDX files from ${folder} (their content is not that of MNIST)`;
  return await parse(source, contents);
}

/** Its inflated content, or undefined where there is no such file. */
async function readPlainOrGzip(folder: string, name: FileName): Promise<Uint8Array | undefined> {
  for (const path of [`${folder}/${name}`, `${folder}/${name}.gz`]) {
    let bytes: Uint8Array;
    try {
      bytes = await Deno.readFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    try {
      return await inflate(bytes);
    } catch (error) {
      throw new Error(`Cannot read ${path}: ${reason(error)}`, { cause: error });
    }
  }
  return undefined;
}

async function readCache(
  cache: string,
  checksums: Checksums,
  contents: Contents,
  report: (problem: string) => void,
): Promise<void> {
  if (!isPermitted({ name: "read", path: cache })) {
    return report("No cache: reading it is not permitted (--allow-read)");
  }
  for (const name of FILES) {
    try {
      const content = await readPlainOrGzip(cache, name);
      if (content === undefined) continue;
      await check(name, content, checksums);
      contents.set(name, content);
    } catch (error) {
      report(`The cached ${name} in ${cache} is set aside: ${reason(error)}`);
    }
  }
}

interface Download {
  readonly cache: string | undefined;
  readonly checksums: Checksums;
  readonly contents: Contents;
  readonly timeout: number;
  readonly report: (problem: string) => void;
  readonly log: (line: string) => void;
}

/** Fetches what `contents` still lacks; each file is checked before it is used or kept. */
async function download(mirror: string, to: Download): Promise<void> {
  if (!isPermitted({ name: "net", host: new URL(mirror).host })) {
    throw new Error("using the network is not permitted (--allow-net)");
  }
  to.log(`Downloading MNIST (11 MB) from ${mirror}`);
  for (const name of FILES.filter((name) => !to.contents.has(name))) {
    const bytes = await fetchBytes(`${mirror}${name}.gz`, to.timeout);
    const content = await inflate(bytes);
    await check(name, content, to.checksums);
    to.contents.set(name, content);
    if (to.cache === undefined) continue;
    try {
      await keep(to.cache, isGzip(bytes) ? `${name}.gz` : name, bytes);
    } catch (error) {
      to.report(`${name} is not cached: ${reason(error)}`);
    }
  }
}

/** The body of a response, given up after `timeout` milliseconds without a byte. */
async function fetchBytes(url: string, timeout: number): Promise<Uint8Array> {
  const silence = new AbortController();
  const giveUp = () => silence.abort(new Error(`no answer for ${timeout / 1000} seconds`));
  let timer = setTimeout(giveUp, timeout);
  try {
    const response = await fetch(url, { signal: silence.signal });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`${url} answers ${response.status} ${response.statusText}`);
    }
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(giveUp, timeout);
      chunks.push(chunk);
      size += chunk.length;
      if (size > MOST_BYTES) throw new Error(`${url} is larger than MNIST`);
    }
    return new Uint8Array(await new Blob(chunks).arrayBuffer());
  } finally {
    clearTimeout(timer);
  }
}

/** Writes a file under another name first, so that a cached file is always a whole one. */
async function keep(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  if (!isPermitted({ name: "write", path: folder })) {
    throw new Error("writing is not permitted (--allow-write)");
  }
  await Deno.mkdir(folder, { recursive: true });
  const partial = `${folder}/${name}.${crypto.randomUUID()}.part`;
  try {
    await Deno.writeFile(partial, bytes, { createNew: true });
    await Deno.rename(partial, `${folder}/${name}`);
  } catch (error) {
    await Deno.remove(partial).catch(() => {}); // it may never have come into being; the first error is what counts
    throw error;
  }
}

async function inflate(bytes: Uint8Array): Promise<Uint8Array> {
  return isGzip(bytes) ? await gunzip(bytes, () => MOST_BYTES) : bytes;
}

async function check(name: FileName, content: Uint8Array, checksums: Checksums): Promise<void> {
  const found = await sha256(content);
  if (found === checksums[name]) return;
  throw new Error(
    `${name} has a wrong checksum (SHA-256 ${found.slice(0, 8)}…, expected ${checksums[name].slice(0, 8)}…)`,
  );
}

async function sha256(content: Uint8Array): Promise<string> {
  // Files are read into memory of their own, never into shared memory.
  const digest = await crypto.subtle.digest("SHA-256", content as Uint8Array<ArrayBuffer>);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function parse(source: string, contents: Contents): Promise<Mnist> {
  const read = async (name: FileName): Promise<HostTensor> => {
    try {
      return await parseIdx(contents.get(name) ?? new Uint8Array());
    } catch (error) {
      throw new Error(`Cannot read ${name}: ${reason(error)}`, { cause: error });
    }
  };
  return {
    source,
    train: digits(await read(FILES[0]), await read(FILES[1]), "train"),
    test: digits(await read(FILES[2]), await read(FILES[3]), "t10k"),
  };
}

function digits(images: HostTensor, labels: HostTensor, part: string): Digits {
  const [count, height, width] = images.shape;
  if (images.shape.length !== 3 || height !== 28 || width !== 28) {
    throw new TypeError(
      `Cannot use the ${part} images: their shape is [${images.shape}], expected [n, 28, 28]`,
    );
  }
  if (labels.shape.length !== 1 || labels.shape[0] !== count) {
    throw new TypeError(
      `Cannot use the ${part} labels: their shape is [${labels.shape}], expected [${count}]`,
    );
  }
  const stray = labels.data.findIndex((label) => label < 0 || label > 9);
  if (stray >= 0) {
    throw new RangeError(
      `Cannot use the ${part} labels: label ${stray} is ${labels.data[stray]}, expected 0 to 9`,
    );
  }
  const scaled = new Float32Array(images.data); // not `from` with a function: ten times slower, over 47 million pixels
  for (let i = 0; i < scaled.length; i++) scaled[i] /= 255;
  return { images: hostTensor(scaled, images.shape), labels };
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // "fetch failed" alone helps nobody; its cause says whether a name, a connection or a certificate was at fault.
  if (error instanceof TypeError && error.cause instanceof Error) return reason(error.cause);
  return error.message.replace(/^error sending request for url \(.*?\): /, ""); // the address is told already
}
