/** Puts the messages of the library's errors into the page on troubleshooting, where a mark names a family of them. */
import type { MarkdownRenderer } from "vitepress";
import { messagesByFamily } from "../errors/families.ts";

const MARK = /^<!-- messages: ([\w-]+) -->$/gm;

const WORDS = { en: ["message", "messages"], es: ["mensaje", "mensajes"] } as const;

/** A plugin for VitePress's Markdown; the lists are part of the page, so its search finds them. */
export function withMessages(markdown: MarkdownRenderer): void {
  let families: ReadonlyMap<string, readonly string[]> | undefined;
  markdown.core.ruler.before("normalize", "messages", (state) => {
    if (!state.src.includes("<!-- messages: ")) return;
    families ??= messagesByFamily();
    const language = String(state.env.relativePath).startsWith("es/") ? "es" : "en";
    state.src = state.src.replaceAll(MARK, (_, id: string) => {
      const texts = families?.get(id);
      if (!texts) {
        throw new RangeError(`Cannot list the messages of ${JSON.stringify(id)}: there is no such family`);
      }
      const [one, many] = WORDS[language];
      const items = texts.map((text) => `- ${asCode(text)}`).join("\n");
      return `::: details ${texts.length} ${texts.length === 1 ? one : many}\n${items}\n:::`;
    });
  });
}

/** A code span: its marks are longer than any inside. */
function asCode(text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([marks]) => marks.length));
  const marks = "`".repeat(longest + 1);
  return longest === 0 ? `${marks}${text}${marks}` : `${marks} ${text} ${marks}`;
}
