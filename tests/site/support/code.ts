/**
 * The code of a page of the guide, as programs. The blocks of a page, ```ts, are one module in their order; a block with
 * the name of a file, ```ts [train.ts], is a program of its own. A block marked `no-run` is only type-checked. What a
 * block prints is in the block ```text behind it, where there is one; `…` in it stands for anything.
 */

/** The file of what has no name. */
const PAGE = "page.ts";

/** A program of a page. */
export interface PageProgram {
  /** The name of its file. */
  readonly file: string;
  /** Every block, to be type-checked; each is at its own lines, so that messages name the lines of the page. */
  readonly whole: string;
  /** The blocks that run; what each of them prints ends with {@linkcode endOf} its line. */
  readonly running: string;
  /** What blocks print, by the line that they end at. */
  readonly printed: ReadonlyMap<number, string>;
}

interface Block {
  readonly flags: string;
  /** The numbers of its fences, from 0. */
  readonly lines: readonly [first: number, last: number];
  readonly body: readonly string[];
  readonly language: string;
}

/** What is printed where a block ends. */
export function endOf(line: number): string {
  return `␞${line + 1}`;
}

function blocksOf(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (let first = 0; first < lines.length; first++) {
    const fence = /^\s*(`{3,})(\w*)(.*)$/.exec(lines[first]);
    if (!fence) continue;
    const last = lines.findIndex((line, index) => index > first && line.trim() === fence[1]);
    if (last < 0) throw new Error(`Cannot read a page: the block of line ${first + 1} has no end`);
    blocks.push({
      language: fence[2],
      flags: fence[3],
      lines: [first, last],
      body: lines.slice(first + 1, last),
    });
    first = last;
  }
  return blocks;
}

/**
 * What a block prints, as the page shows it: the block of text behind it. Commands that run a file may lie between, and
 * words too.
 */
function shownBehind(
  lines: readonly string[],
  blocks: readonly Block[],
  block: Block,
  isFile: boolean,
): string | undefined {
  const next = blocks.slice(blocks.indexOf(block) + 1).find(({ language }) => !(isFile && language === "sh"));
  if (next?.language !== "text") return undefined;
  const between = lines.slice(block.lines[1] + 1, next.lines[0]);
  return isFile || between.every((line) => /^\s*(:::.*)?$/.test(line)) ? next.body.join("\n") : undefined;
}

/** The programs of a page. */
export function programsOf(page: string): PageProgram[] {
  const lines = page.split("\n");
  const blocks = blocksOf(lines);
  const files = new Map<string, Block[]>();
  for (const block of blocks) {
    if (block.language !== "ts") continue;
    const file = /\[([\w.-]+)\]/.exec(block.flags)?.[1] ?? PAGE;
    files.set(file, [...files.get(file) ?? [], block]);
  }
  return [...files].map(([file, own]) => {
    const running = own.filter(({ flags }) => !/\bno-run\b/.test(flags));
    const printed = running.flatMap((block): [number, string][] => {
      const shown = shownBehind(lines, blocks, block, file !== PAGE);
      return shown === undefined ? [] : [[block.lines[1], shown]];
    });
    return {
      file,
      whole: assemble(lines.length, own, () => ""),
      running: running.length === 0
        ? ""
        : assemble(lines.length, running, (line) => `;console.log("${endOf(line)}");`),
      printed: new Map(printed),
    };
  });
}

/** The blocks at their lines in a file that is otherwise empty. */
function assemble(count: number, blocks: readonly Block[], atEnd: (line: number) => string): string {
  const file = Array<string>(count).fill("");
  for (const { lines: [first, last], body } of blocks) {
    body.forEach((line, index) => file[first + 1 + index] = line);
    file[last] = atEnd(last);
  }
  return `${file.join("\n")}\nexport {};\n`;
}

/** Whether what was printed is what the page shows, in which `…` stands for anything. */
export function isShown(printed: string, shown: string): boolean {
  const text = (words: string) => words.split("\n").map((line) => line.trimEnd()).join("\n").trim();
  const parts = text(shown).split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^]*?")}$`).test(text(printed));
}

/** What each block printed, by the line that it ends at. */
export function printedBy(output: string): Map<number, string> {
  const ends = [...output.matchAll(/^␞(\d+)$/gm)];
  return new Map(ends.map((end, index) => {
    const begin = index === 0 ? 0 : ends[index - 1].index + ends[index - 1][0].length;
    return [Number(end[1]) - 1, output.slice(begin, end.index)];
  }));
}
