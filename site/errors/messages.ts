/**
 * The messages of the library's errors, as its sources have them: what is in the argument of `new …Error(…)`, with `…`
 * for what is known only when it is thrown. The page on troubleshooting shows them (`families.ts` says where), and a test
 * compares them with errors that are thrown.
 */

/** Where the sources of the library are; this folder is `site/errors`. */
const HOUSE = new URL("../../", import.meta.url);

const FOLDERS = ["src/", "kernels/", "formats/"];

/** Functions that put their text behind another, and what that is. */
const CARRIERS: { readonly [name: string]: string } = {
  fail: "Cannot …: ",
  malformed: "Cannot read the safetensors file: ",
  malformedCheckpoint: "Cannot read the checkpoint: ",
  refuse: "Cannot …: ",
  refusedAtOnce: "Cannot step … at once: ",
  refusedJson: "",
  unavailable: "Cannot open the device native: ",
};

/** Functions that return a reason, and what stands before it. */
const REASONS: { readonly [name: string]: string } = {
  changeOf: "Cannot use …: ",
  faultOf: "Cannot feed … in chunks: ",
  findMissing: "Cannot use the device …: ",
  refuses: "Cannot use … with an input of shape …: ",
};

/** The function that makes the errors for arguments of the wrong kind. */
const MAKER = "wrongKind";

/** A message that an error may have. */
export interface Message {
  /** The file, from the root of the repository. */
  readonly file: string;
  /** Where in the file it is made, from 1. */
  readonly line: number;
  /** The class of the error, or the function that makes it, such as `fail`. */
  readonly by: string;
  /** The text; `…` stands for anything. Of parts that are there only sometimes, it has the last one. */
  readonly text: string;
  /** The same with `…` for such parts too: all that every message has. */
  readonly fixed: string;
}

/** What a message is made of, in its file. */
interface Made {
  readonly by: string;
  readonly at: number;
  readonly before?: string;
  readonly variants: Variants;
}

/** A piece of an expression: text, or code whose value is not known. */
type Piece = { readonly text: string } | { readonly code: string };

/** What an expression may be: pieces one after another; several of these for `a ? b : c`. */
type Variants = readonly (readonly Piece[])[];

/** How a class or a function makes its message from its arguments. */
interface Shape {
  readonly parameters: readonly string[];
  readonly pieces: readonly Piece[];
}

/** All messages, in the order of the files. */
export function collectMessages(house = HOUSE): readonly Message[] {
  const sources = FOLDERS.flatMap((folder) => [...filesIn(new URL(folder, house))]).map((url) => ({
    file: url.pathname.slice(house.pathname.length),
    source: Deno.readTextFileSync(url).replaceAll("\\`", "`").replaceAll("\\${", "${"), // code that is itself in a text
  }));
  const shapes = errorClasses(sources.map(({ source }) => source));
  const classes = [...shapes.keys()].filter((name) => name !== MAKER).join("|");
  const functions = [...Object.keys(CARRIERS), MAKER].join("|");
  const call = new RegExp(`\\bnew (${classes})\\(|\\b(?:throw|return) (${functions})\\(`, "g");
  return sources.flatMap(({ file, source }) => {
    const thrown = [...source.matchAll(call)].map((match): Made => {
      const by = match[1] ?? match[2];
      const args = readArguments(source, match.index + match[0].length);
      return { by, at: match.index, before: CARRIERS[by], variants: filled(shapes.get(by), args) };
    });
    return [...thrown, ...reasonsIn(source)].filter(({ at }) => !isComment(source, at)).flatMap((made) =>
      messagesOf(made, file, source)
    );
  });
}

function messagesOf({ by, at, before, variants }: Made, file: string, source: string): Message[] {
  const line = source.slice(0, at).split("\n").length;
  return variants.flatMap((pieces) => {
    const text = textOf(pieces, alternative);
    if (!/\p{L}{2}/u.test(text) || before && /^Cannot/.test(text)) return []; // passes on what another error says
    const first = before ?? (/^\p{Ll}/u.test(text) ? lead(file) : "");
    return [{ file, line, by, text: first + text, fixed: first + textOf(pieces, anything) }];
  });
}

/** What the functions of `REASONS` return. */
function reasonsIn(source: string): Made[] {
  const names = Object.keys(REASONS).join("|");
  const definition = new RegExp(`^( *)(?:async )?(?:function|const) (${names})\\b`, "gm");
  return [...source.matchAll(definition)].flatMap(({ 1: indent, 2: by, index }) => {
    const body = source.slice(index, source.indexOf(`\n${indent}}`, index));
    return [...body.matchAll(/\b(?:return|const difference =) (?=[^;]*["'`])/g)].map((match): Made => ({
      by,
      at: index + match.index,
      before: REASONS[by],
      variants: readArguments(body, match.index + match[0].length)[0] ?? [],
    }));
  });
}

/** What stands before a reason that another error includes. */
function lead(file: string): string {
  return file.startsWith("formats/onnx/import/") ? "Cannot … the ONNX …: …: " : "Cannot …: ";
}

/** A pattern for what a text with `…` stands for. */
export function patternOf(text: string): RegExp {
  const literal = text.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(literal.join("[\\s\\S]*"), "u");
}

function* filesIn(folder: URL): Generator<URL> {
  const entries = [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory } of entries) {
    if (isDirectory) yield* filesIn(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield new URL(name, folder);
  }
}

/** JavaScript's errors, the library's own and their maker, with how these make messages from their arguments. */
function errorClasses(sources: readonly string[]): ReadonlyMap<string, Shape | undefined> {
  const known = new Map<string, Shape | undefined>(
    ["Error", "RangeError", "SyntaxError", "TypeError"].map((name) => [name, undefined]),
  );
  for (const source of sources) {
    for (const { 1: name, index } of source.matchAll(/class (\w+) extends (?:Range)?Error \{/g)) {
      const body = source.slice(index, source.indexOf("\n}", index));
      known.set(name, body.includes("super(") ? shapeOf(body, "constructor(", "super(") : undefined);
    }
  }
  const maker = sources.find((source) => source.includes(`export function ${MAKER}(`)) ?? "";
  const body = maker.slice(maker.indexOf(`${MAKER}(`));
  known.set(MAKER, shapeOf(body, `${MAKER}(`, "TypeError("));
  return known;
}

/** How a function with these parameters calls another, from the beginning of its text. */
function shapeOf(body: string, parameters: string, call: string): Shape {
  return {
    parameters: readArguments(body, body.indexOf(parameters) + parameters.length).map(([pieces]) =>
      codeOf(pieces).replace(/[:=?].*/s, "").replace(/^readonly /, "").trim()
    ),
    pieces: readArguments(body, body.indexOf(call) + call.length)[0][0],
  };
}

/** The first argument, or what a class makes of its arguments. */
function filled(shape: Shape | undefined, args: readonly Variants[]): Variants {
  if (!shape) return args[0] ?? [];
  return shape.pieces.reduce<Variants>((found, piece) => {
    const at = "code" in piece ? shape.parameters.indexOf(piece.code.trim()) : -1;
    const variants = at < 0 || !args[at] ? [[piece]] : args[at];
    return found.flatMap((before) => variants.map((pieces) => [...before, ...pieces]));
  }, [[]]);
}

function codeOf(pieces: readonly Piece[]): string {
  return pieces.map((piece) => "code" in piece ? piece.code : piece.text).join("");
}

function textOf(pieces: readonly Piece[], ofCode: (code: string) => string): string {
  return pieces.map((piece) => "text" in piece ? piece.text : ofCode(piece.code)).join("")
    .replaceAll(/\s+/g, " ").replaceAll(/…(\s?…)+/g, "…").trim();
}

const anything = () => "…";

/** Of code that chooses between sentences, the last one, as that is the ordinary case; of other code, anything. */
function alternative(code: string): string {
  let last = "…";
  if (!code.includes("?")) return last;
  for (let at = 0; at < code.length; at++) {
    if (!"\"'`".includes(code[at])) continue;
    const [pieces, end] = readText(code, at);
    const found = textOf(pieces, alternative);
    if (found.split(" ").length >= 4) last = found;
    at = end - 1;
  }
  return last;
}

function isComment(source: string, at: number): boolean {
  return /^\s*(\*|\/\/|\/\*)/.test(source.slice(source.lastIndexOf("\n", at) + 1, at));
}

/** The arguments of a call whose first one begins at `at`, or what a statement returns. */
function readArguments(source: string, at: number): Variants[] {
  const args: Variants[] = [];
  let variants: Piece[][] = [[]];
  let code = "";
  const flush = () => {
    if (code.trim() !== "") variants[variants.length - 1].push({ code: code.trim() });
    code = "";
  };
  while (at < source.length) {
    const letter = source[at];
    if (
      letter === ")" || letter === ";" ||
      (letter === "," && code.split("<").length === code.split(">").length)
    ) {
      flush();
      if (variants.some(({ length }) => length > 0)) args.push(variants);
      variants = [[]];
      if (letter !== ",") return args;
      at++;
    } else if (/^\?\s+["'`]/.test(source.slice(at))) {
      [variants, code] = [[[]], ""]; // what was read is the condition
      at++;
    } else if (letter === ":" && code.trim() === "" && variants[0].length > 0) {
      variants.push([]);
      at++;
    } else if ("\"'`".includes(letter) && code.trim() === "") {
      const [read, end] = readText(source, at);
      variants[variants.length - 1].push(...read);
      at = end;
    } else if (letter === "+") {
      flush();
      at++;
    } else {
      const end = skipped(source, at);
      code += source.slice(at, end);
      at = end;
    }
  }
  throw new SyntaxError(`Cannot read the arguments of a call: it has no end, expected ")"`);
}

/** Behind the text, bracket, comment or letter at `at`. */
function skipped(source: string, at: number): number {
  if ("\"'`".includes(source[at])) return readText(source, at)[1];
  if (source.startsWith("//", at)) return source.indexOf("\n", at);
  if (!"([{".includes(source[at])) return at + 1;
  for (at++; at < source.length && !")]}".includes(source[at]);) at = skipped(source, at);
  return at + 1;
}

/** The pieces of the text at `at`, and where it ends. */
function readText(source: string, at: number): readonly [readonly Piece[], number] {
  const quote = source[at++];
  const pieces: Piece[] = [];
  let text = "";
  for (; at < source.length && source[at] !== quote; at++) {
    if (source[at] === "\\") {
      at++;
      text += source[at] === "n" ? "\n" : source[at];
    } else if (quote === "`" && source.startsWith("${", at)) {
      const end = skipped(source, at + 1);
      pieces.push({ text }, { code: source.slice(at + 2, end - 1).trim() });
      text = "";
      at = end - 1;
    } else text += source[at];
  }
  return [[...pieces, { text }], at + 1];
}
