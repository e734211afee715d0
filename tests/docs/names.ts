/**
 * Writes docs/names.md: every export of every entry point with the first sentence of its documentation, as `deno doc`
 * has it. `deno run --allow-read --allow-write --allow-run tests/docs/names.ts`
 */

/** A page of names, and where it is. */
export const PAGE = new URL("../../docs/names.md", import.meta.url);

const ROOT = new URL("../../", import.meta.url);

interface Parameter {
  readonly kind: string;
  readonly name?: string;
  readonly optional?: boolean;
  readonly left?: Parameter;
  readonly arg?: Parameter;
}

interface Declaration {
  readonly location: { readonly filename: string };
  readonly kind: string;
  readonly jsDoc?: { readonly doc?: string };
  readonly def: { readonly params?: readonly Parameter[] };
}

interface DocumentedSymbol {
  readonly name: string;
  readonly declarations: readonly Declaration[];
}

/** The titles of the folders and files of `src` that names come from, in the order of the page. */
const GROUPS: readonly (readonly [prefix: string, title: string])[] = [
  ["src/tensor/", "Tensors"],
  ["src/tree/", "Trees of tensors"],
  ["src/operations/", "Operations"],
  ["src/transforms/", "Derivatives and compilation"],
  ["src/program/", "Derivatives and compilation"],
  ["kernels/", "Derivatives and compilation"],
  ["src/scan", "Folding"],
  ["src/cells/", "Cells"],
  ["src/layers/", "Layers"],
  ["src/models/", "Models"],
  ["src/options/", "Options of layers"],
  ["src/training/", "Training"],
  ["src/data/", "Data"],
  ["src/", "Other"],
];

/** The entry points of deno.json for users, beside the main one: name and file. */
function otherEntryPoints(): readonly (readonly [name: string, file: string])[] {
  const { exports }: { exports: Record<string, string> } = JSON.parse(
    Deno.readTextFileSync(new URL("deno.json", ROOT)),
  );
  return Object.entries(exports).filter(([name]) => name !== "." && name !== "./internal")
    .map(([name, file]) => [name.slice(2), file]);
}

/** The exports of an entry point, by name. */
async function symbolsOf(file: string): Promise<readonly DocumentedSymbol[]> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", file],
    cwd: ROOT,
  }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  const { nodes }: { nodes: Record<string, { symbols: readonly DocumentedSymbol[] }> } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  const [{ symbols }] = Object.values(nodes);
  return [...symbols].sort((a, b) => a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1);
}

/** A name as it is written: a function with its parameters, as `sum(x, options?)`. */
function heading({ name, declarations }: DocumentedSymbol): string {
  const declared = declarations.find(({ kind }) => kind === "function");
  if (!declared) return `\`${name}\``;
  return `\`${name}(${(declared.def.params ?? []).map(parameter).join(", ")})\``;
}

function parameter({ kind, name, optional, left, arg }: Parameter): string {
  if (kind === "assign" && left) return `${parameter(left).replace("?", "")}?`;
  if (kind === "rest" && arg) return `...${parameter(arg)}`;
  return `${name ?? "options"}${optional ? "?" : ""}`;
}

/** The first sentence of what is documented, on one line. */
function sentence({ name, declarations }: DocumentedSymbol): string {
  const doc = declarations.map(({ jsDoc }) => jsDoc?.doc).find((text) => text !== undefined && text !== "");
  if (doc === undefined) throw new Error(`${name} is not documented`);
  const text = doc.split(/\n\s*\n/)[0].replace(/\s+/g, " ").trim();
  const plain = text.replace(/\{@link(?:code)? ([^}]*)\}/g, "`$1`").replaceAll("|", "\\|");
  return /^.*?[.:](?= [A-Z`]|$)/.exec(plain)?.[0].replace(/:$/, ".") ?? plain;
}

function rowsOf(symbols: readonly DocumentedSymbol[]): readonly string[] {
  return [
    "| Name | What it is |",
    "| --- | --- |",
    ...symbols.map((symbol) => `| ${heading(symbol)} | ${sentence(symbol)} |`),
  ];
}

function groupOf({ declarations }: DocumentedSymbol): string {
  const file = declarations[0].location.filename.slice(ROOT.href.length);
  return GROUPS.find(([prefix]) => file.startsWith(prefix))?.[1] ?? "Other";
}

/** The text of the page, before `deno fmt`. */
export async function namesPage(): Promise<string> {
  const symbols = await symbolsOf("mod.ts");
  const titles = [...new Set(GROUPS.map(([, title]) => title))];
  const sections = titles.flatMap((title) => {
    const own = symbols.filter((symbol) => groupOf(symbol) === title);
    return own.length === 0 ? [] : [`## ${title}`, "", ...rowsOf(own), ""];
  });
  const formats: string[] = [];
  for (const [name, file] of otherEntryPoints()) {
    formats.push(`### \`@cellfold/cellfold/${name}\``, "", ...rowsOf(await symbolsOf(file)), "");
  }
  return [
    "# Names",
    "",
    `All ${symbols.length} names that \`@cellfold/cellfold\` exports, and those of its other entry points, with the first ` +
    "sentence of what the API's documentation says of each. `tests/docs/names.ts` writes this page.",
    "",
    ...sections,
    "## Other entry points",
    "",
    ...formats,
  ].join("\n");
}

/** The page as `deno fmt` writes it. */
export async function formattedPage(): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--ext=md", "--line-width=110", "-"],
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(await namesPage()));
  await writer.close();
  return new TextDecoder().decode((await child.output()).stdout);
}

if (import.meta.main) await Deno.writeTextFile(PAGE, await formattedPage());
