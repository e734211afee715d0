/**
 * The command `export`: a model in a file, of any format that has models, becomes a file for other programs.
 *
 *     deno run --allow-read --allow-write jsr:@cellfold/cellfold/export model.safetensors --to wasm
 *
 * @module
 */
import { remedy } from "../../src/known_names.ts";
import { quoted } from "../../src/quoted.ts";
import { isLeaf } from "../../src/tensor/tensor.ts";
import { mended, weightFormats } from "../standalone/options.ts";
import { type Arguments, parseArguments } from "./arguments.ts";
import { findInput, parseMasks, parseSpec } from "./inputs.ts";
import { readerFor, type SourceModel, sources } from "./sources.ts";
import { type Target, targets } from "./targets.ts";

/** The files of the command's host. */
export interface ExportHost {
  /** Reads a file. */
  readonly read: (path: string) => Promise<Uint8Array>;
  /** Writes a file, over one that is there. */
  readonly write: (path: string, content: Uint8Array) => Promise<void>;
  /** Tells a line. */
  readonly log: (line: string) => void;
}

function help(): string {
  return `Writes the model in a file as a file for other programs.

  export FILE --to TARGET [options]

FILE is a model: ${Object.keys(sources).join(", ")}. TARGET is:
${Object.entries(targets).map(([name, { about }]) => `  ${name.padEnd(12)}${about}`).join("\n")}

  --output PATH     where to write, or the folder if it ends with a slash; default: beside the file
  --input SPEC      the input, if the file does not say it: batch,time,28 or batch,time:int32
  --mask SPEC       takes a mask too: batch,time; of one input of several: NAME=batch,time, once for each (wasm, c)
  --name NAME       an identifier for the model; default: made from the file's name
  --stream          steps through sequences and keeps the state (wasm, c)
  --batch N         the first size of the input, where it is open (wasm, c)
  --weights FORMAT  ${weightFormats.join(", ")}: how weights are stored; default: ${weightFormats[0]} (c)
  --allow-nan       weights may be NaN (wasm, c)
  --help            says this`;
}

/**
 * Runs the command.
 *
 * @param args The arguments behind the command, as in \`Deno.args\`.
 * @throws SyntaxError or RangeError for arguments and files that cannot be used; the reader's or the writer's error
 *   for a model that one of them refuses.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, lstm, sequential, spec } from "@cellfold/cellfold";
 * import { exportFile } from "@cellfold/cellfold/export";
 * import { saveCheckpoint } from "@cellfold/cellfold/safetensors";
 * const model = sequential([lstm({ units: 4 }), dense({ units: 2 })]);
 * const file = saveCheckpoint({ model, variables: init(model, key(0), spec([null, null, 3])) });
 * const written: string[] = [];
 * await exportFile(["models/small.safetensors", "--to", "wasm"], {
 *   read: () => Promise.resolve(file),
 *   write: (path) => Promise.resolve(void written.push(path)),
 *   log: () => {},
 * });
 * assertEquals(written, ["models/small.wasm", "models/small.js", "models/small.d.ts"]);
 * ```
 */
export async function exportFile(args: readonly string[], { read, write, log }: ExportHost): Promise<void> {
  if (args.includes("--help")) return log(help());
  const given = parseArguments(args);
  const target = targetOf(given);
  const { model, variables, input } = await readerFor(given.file)(
    await read(given.file),
    (name) => read(given.file.replace(/[^/\\]*$/, "") + name),
  );
  const base = given.file.replace(/\.[^./\\]*$/, "");
  const isFolder = /[/\\]$/.test(given.output ?? "");
  const isFree = given.output === undefined || isFolder; // to be called as the model is
  const place = isFolder ? given.output + base.replace(/^.*[/\\]/s, "") : given.output ?? base;
  const asked = isFree ? place : withoutEnd(place, target.end);
  const [, folder, last] = asked.match(/^(.*[/\\])?(.*)$/s) ?? [];
  const name = given.name ?? mended(last);
  // Files that name each other are called as the model is.
  const output = target.isNamed && isFree ? `${folder ?? ""}${name}` : asked;
  if (target.isNamed && output !== `${folder ?? ""}${name}`) {
    throw new RangeError(
      `Cannot export to ${quoted(output + target.end)}: the source includes ${
        quoted(`${name}.h`)
      }, expected files ` +
        `of that name; give --output ${quoted(`${name}${target.end}`)}, or another --name`,
    );
  }
  const specs = inputOf(given, { model, variables, input });
  const files = await target.write(model, variables, {
    input: specs,
    ...(given.mask !== undefined && { mask: parseMasks(given.mask, specs) }),
    ...(target.options.includes("name") && { name }),
    ...(given.stream && { stream: true }),
    ...(given.allowNaN && { allowNaN: true }),
    ...(given.batch !== undefined && { batch: given.batch }),
    ...(given.weights !== undefined && { weights: given.weights }),
  });
  const paths = files.map(({ end }) => output + end);
  if (paths.includes(given.file)) {
    throw new RangeError(
      `Cannot export to ${quoted(given.file)}: it is the file that is read, expected another; give --output`,
    );
  }
  for (const [index, { content }] of files.entries()) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await write(paths[index], bytes);
    log(`${paths[index]}: ${bytes.length} bytes`);
  }
}

function withoutEnd(path: string, end: string): string {
  return path.endsWith(end) ? path.slice(0, -end.length) : path;
}

function targetOf(given: Arguments): Target {
  const { to } = given;
  if (!Object.hasOwn(targets, to)) {
    throw new RangeError(
      `Cannot export to ${quoted(to)}: it is unknown; ${remedy(to, Object.keys(targets))}`,
    );
  }
  const target = targets[to];
  const used = (["name", "mask", "stream", "batch", "weights", "allowNaN"] as const).find((name) =>
    given[name] !== undefined && given[name] !== false && !target.options.includes(name)
  );
  if (used === undefined) return target;
  const option = used === "allowNaN" ? "allow-nan" : used;
  throw new RangeError(
    `Cannot export to ${to} with --${option}: that target has no such option; leave it out`,
  );
}

function inputOf(given: Arguments, { model, variables, input }: SourceModel) {
  if (given.input === undefined) return input ?? findInput(model, variables);
  if (input === undefined || isLeaf(input)) return parseSpec(given.input);
  throw new RangeError(
    `Cannot export with --input ${
      quoted(given.input)
    }: the model takes several tensors, whose specs are in the ` +
      "file; leave it out",
  );
}

if (import.meta.main) {
  try {
    await exportFile(Deno.args, {
      read: (path) => Deno.readFile(path),
      write: (path, content) => Deno.writeFile(path, content),
      log: (line) => console.log(line),
    });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
