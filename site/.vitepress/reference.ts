/**
 * Links between the guide and the reference, which `deno doc` writes below `/reference/`: VitePress neither knows its
 * pages nor may route to them by itself.
 */
import type { MarkdownRenderer } from "vitepress";
import type { Language } from "./pages.ts";

/** Makes links to the reference leave the site's own pages, below the site's base. */
export function linkReference(markdown: MarkdownRenderer, base: string): void {
  markdown.core.ruler.push("reference", ({ tokens }) => {
    for (const link of tokens.flatMap(({ children }) => children ?? [])) {
      const href = link.type === "link_open" ? link.attrGet("href") : null;
      if (!href?.startsWith("/reference/")) continue;
      link.attrSet("href", base + href.slice(1));
      link.attrSet("target", "_self");
    }
  });
}

const NAMES: { readonly [L in Language]: string } = { en: "Reference", es: "Referencia" };

/** The reference in the bar above the pages. */
export function referenceItem(language: Language) {
  return { text: NAMES[language], link: "/reference/index.html", target: "_self" };
}
