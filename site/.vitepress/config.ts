/** The site: two languages with the same pages, a local search, and the library from its own sources. */
import { type DefaultTheme, defineConfig, type LocaleConfig } from "vitepress";
import { withMessages } from "./messages.ts";
import { type Language, pages } from "./pages.ts";
import { linkReference, referenceItem } from "./reference.ts";

const BASE = Deno.env.get("CELLFOLD_SITE_BASE") ?? "/";
const REPOSITORY = "https://github.com/cellfold/cellfold";

/** The entry points of the library by their names, from `site/deno.json`. */
const imports: Record<string, string> =
  JSON.parse(Deno.readTextFileSync(new URL("../deno.json", import.meta.url))).imports;
const alias = Object.entries(imports)
  .filter(([, path]) => path.startsWith("../"))
  .map(([name, path]) => ({
    find: new RegExp(`^${name}$`),
    replacement: new URL(`../${path}`, import.meta.url).pathname,
  }));

/** What is used of a plugin's context. */
interface Resolving {
  resolve(source: string, importer: string, options: object): Promise<{ readonly id: string } | null>;
}

const SITE = new URL("../", import.meta.url).pathname;

/** The sources of the library are outside the site; what they import from npm is installed in it. */
const packagesOfSources = {
  name: "packages-of-sources",
  enforce: "pre" as const,
  resolveId(this: Resolving, source: string, importer: string | undefined, options: object) {
    if (!/^@?[a-z]/.test(source) || !importer?.startsWith("/") || importer.startsWith(SITE)) return null;
    return this.resolve(source, `${SITE}index.md`, { ...options, skipSelf: true });
  },
};

/** What the theme says by itself, in each language. */
const WORDS = {
  en: {
    description: "Recurrent neural networks in TypeScript: any cell, compiled and differentiated",
    outline: "On this page",
    docFooter: { prev: "Previous", next: "Next" },
    darkModeSwitchLabel: "Appearance",
    sidebarMenuLabel: "Menu",
    returnToTopLabel: "Back to top",
    langMenuLabel: "Change language",
    search: undefined,
  },
  es: {
    description: "Redes neuronales recurrentes en TypeScript: cualquier celda, compilada y derivada",
    outline: "En esta página",
    docFooter: { prev: "Anterior", next: "Siguiente" },
    darkModeSwitchLabel: "Aspecto",
    sidebarMenuLabel: "Menú",
    returnToTopLabel: "Volver arriba",
    langMenuLabel: "Cambiar de idioma",
    search: {
      button: { buttonText: "Buscar", buttonAriaLabel: "Buscar" },
      modal: {
        displayDetails: "Mostrar la lista detallada",
        resetButtonTitle: "Borrar la búsqueda",
        backButtonTitle: "Cerrar la búsqueda",
        noResultsText: "Sin resultados para",
        footer: { selectText: "elegir", navigateText: "moverse", closeText: "cerrar" },
      },
    },
  },
} as const;

function locale(
  language: Language,
  label: string,
  prefix: string,
): LocaleConfig<DefaultTheme.Config>[string] {
  const { description, outline, search: _, ...words } = WORDS[language];
  const groups = pages.map(({ title, items }) => ({
    text: title[language],
    items: items.map(({ path, name }) => ({ text: name[language], link: `${prefix}/${path}` })),
  }));
  return {
    label,
    lang: language,
    description,
    themeConfig: {
      ...words,
      outline: { label: outline, level: [2, 3] },
      nav: [...groups.map(({ text, items }) => ({ text, link: items[0].link })), referenceItem(language)],
      sidebar: groups,
    },
  };
}

export default defineConfig({
  title: "Cellfold",
  base: BASE,
  head: [["link", { rel: "icon", type: "image/svg+xml", href: `${BASE}icon.svg` }]],
  cleanUrls: false,
  lastUpdated: false,
  srcExclude: ["README.md", "public/**"],
  router: { prefetchLinks: false }, // a page loads what it shows
  locales: { root: locale("en", "English", ""), es: locale("es", "Español", "/es") },
  themeConfig: {
    search: { provider: "local", options: { locales: { es: { translations: WORDS.es.search } } } },
    socialLinks: [{ icon: "github", link: REPOSITORY }],
  },
  markdown: {
    config: (markdown) => {
      withMessages(markdown);
      linkReference(markdown, BASE);
    },
    image: { lazyLoading: true },
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" }, // the others are too faint for WCAG
  },
  vite: {
    resolve: { alias },
    plugins: [packagesOfSources],
    // An audio worklet cannot load parts of a program later, so workers are single files.
    worker: {
      format: "es",
      plugins: () => [packagesOfSources],
      rollupOptions: { output: { inlineDynamicImports: true } },
    },
    // The sources use what browsers with WebAssembly SIMD have.
    build: { target: "es2022", chunkSizeWarningLimit: 1000 },
    server: { fs: { allow: [new URL("../../", import.meta.url).pathname] } },
  },
});
