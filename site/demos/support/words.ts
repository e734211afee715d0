/** Words of a demo in the language of its page. */
import { useData } from "vitepress";
import type { Language } from "../../.vitepress/pages.ts";

/** Returns the words in the language of the page: `const words = useWords({ en: { run: "Run" }, es: { run: "Ejecutar" } })`. */
export function useWords<Words>(all: { readonly [L in Language]: Words }): Words {
  return all[useData().lang.value === "es" ? "es" : "en"];
}
