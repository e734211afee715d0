/** The templates: the files of a project for Deno, Node or Vite. */
import * as page from "./page.ts";
import * as program from "./program.ts";

/** The version of the library that a project begins with. */
export const VERSION = "0.1.0";

const LIBRARY = "@cellfold/cellfold";

/** What a template makes. */
export interface Project {
  /** The commands to run in the project's folder, in this order, and what each does. */
  readonly commands: readonly (readonly [command: string, does: string])[];
  /** The texts of its files, by path. */
  readonly files: Readonly<Record<string, string>>;
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

const TRAINS = "learns to tell waves apart, in seconds, and writes model.safetensors";
const PREDICTS = "says of some waves what they are";
const TESTS = "tests the data and that the model learns";

function readme(name: string, host: string, { commands }: Pick<Project, "commands">, files: string): string {
  const width = Math.max(...commands.map(([command]) => command.length));
  const lines = commands.map(([command, does]) => `${command.padEnd(width)} # ${does}`);
  return `# ${name}

A recurrent network for ${host}, with
[Cellfold](https://jsr.io/${LIBRARY}).

\`\`\`sh
${lines.join("\n")}
\`\`\`

${files}
`;
}

/** A project's dependency on the library: of the registry, or what `deno task npm` packs in a clone. */
const dependencies = (clone: string | undefined) => ({
  [LIBRARY]: clone === undefined ? `^${VERSION}` : `file:${clone}/dist/cellfold-cellfold-${VERSION}.tgz`,
});

/** What is run first where the library is a clone's. */
const packs = (clone: string | undefined): Project["commands"] =>
  clone === undefined
    ? []
    : [[`npx -y deno@2 task --cwd ${inShell(clone)} npm`, "packs the library, from its clone"]];

/** A path as an argument of a command, in any shell. */
export const inShell = (path: string) => /^[\w./-]+$/.test(path) ? path : `"${path}"`;

const FILES = (ending: string, folder = "") =>
  `\`${folder}data.${ending}\` has the data, \`${folder}model.${ending}\` the model: put your own in.`;

function forDeno(name: string, clone?: string): Project {
  const dialect: program.Dialect = {
    ending: "ts",
    imports: { write: "", read: "" },
    write: "Deno.writeFile",
    read: "Deno.readFile",
    exit: "Deno.exit(1);",
    commands: { train: "deno task train", predict: "deno task predict" },
  };
  const commands = [
    [dialect.commands.train, TRAINS],
    [dialect.commands.predict, PREDICTS],
    ["deno task test", TESTS],
  ] as const;
  const test = program.test("ts", {
    imports: 'import assert from "node:assert/strict";\n',
    begin: (name, isAsync) => `Deno.test("${name}", ${isAsync ? "async " : ""}() => {`,
    ...ASSERT,
  });
  return {
    commands,
    files: {
      "deno.json": json({
        tasks: {
          train: "deno run --allow-write=model.safetensors train.ts",
          predict: "deno run --allow-read=model.safetensors predict.ts",
          test: "deno test",
        },
        imports: { [LIBRARY]: `jsr:${LIBRARY}@^${VERSION}` },
        ...(clone !== undefined && { links: [clone] }),
      }),
      "data.ts": program.data,
      "model.ts": program.model("ts"),
      "train.ts": program.train(dialect),
      "predict.ts": program.predict(dialect),
      "model.test.ts": test,
      ".gitignore": "model.safetensors\n",
      "README.md": readme(name, "Deno", { commands }, FILES("ts")),
    },
  };
}

/** Assertions of Node, which Deno has too. */
const ASSERT = {
  equal: (actual: string, expected: string) => `assert.deepEqual(${actual}, ${expected});`,
  above: (actual: string, least: string) => `assert.ok(${actual} > ${least}, \`${actual} \${${actual}}\`);`,
};

function packageJson(name: string, rest: object): string {
  return json({ name, private: true, type: "module", ...rest });
}

function forNode(name: string, clone?: string): Project {
  const dialect: program.Dialect = {
    ending: "js",
    imports: {
      write: 'import { writeFile } from "node:fs/promises";\n',
      read: 'import { readFile } from "node:fs/promises";\n',
    },
    write: "writeFile",
    read: "readFile",
    exit: "process.exit(1);",
    commands: { train: "npm run train", predict: "npm run predict" },
  };
  const commands = [
    ...packs(clone),
    ["npm install", "installs the library"],
    [dialect.commands.train, TRAINS],
    [dialect.commands.predict, PREDICTS],
    ["npm test", TESTS],
  ] as const;
  const test = program.test("js", {
    imports: 'import assert from "node:assert/strict";\nimport { test } from "node:test";\n',
    begin: (name, isAsync) => `test("${name}", ${isAsync ? "async " : ""}() => {`,
    ...ASSERT,
  });
  return {
    commands,
    files: {
      "package.json": packageJson(name, {
        engines: { node: ">=20" },
        scripts: { train: "node train.js", predict: "node predict.js", test: "node --test" },
        dependencies: dependencies(clone),
      }),
      "data.js": program.data,
      "model.js": program.model("js"),
      "train.js": program.train(dialect),
      "predict.js": program.predict(dialect),
      "model.test.js": test,
      ".gitignore": "node_modules/\nmodel.safetensors\n",
      "README.md": readme(name, "Node", { commands }, FILES("js")),
    },
  };
}

function forVite(name: string, clone?: string): Project {
  const commands = [
    ...packs(clone),
    ["npm install", "installs the library, Vite and Vitest"],
    ["npm run dev", "serves the page, which trains and predicts in a worker"],
    ["npm test", TESTS],
    ["npm run build", "checks the types, and makes the page in dist/"],
  ] as const;
  const test = program.test("ts", {
    imports: 'import { expect, test } from "vitest";\n',
    begin: (name, isAsync) => `test("${name}", ${isAsync ? "{ timeout: 60_000 }, async " : ""}() => {`,
    equal: (actual, expected) => `expect(${actual}).toEqual(${expected});`,
    above: (actual, least) => `expect(${actual}).toBeGreaterThan(${least});`,
  });
  return {
    commands,
    files: {
      "package.json": packageJson(name, {
        engines: { node: "^20.19.0 || >=22.12.0" },
        scripts: {
          dev: "vite",
          build: "tsc && vite build",
          preview: "vite preview",
          test: "vitest run",
        },
        dependencies: dependencies(clone),
        devDependencies: { typescript: "^5.9.0", vite: "^7.0.0", vitest: "^4.0.0" },
      }),
      "tsconfig.json": json({
        compilerOptions: {
          target: "es2022",
          module: "esnext",
          moduleResolution: "bundler",
          lib: ["es2023", "dom", "dom.iterable"],
          types: ["vite/client"],
          strict: true,
          noEmit: true,
          allowImportingTsExtensions: true,
          skipLibCheck: true,
        },
        include: ["src"],
      }),
      "vite.config.ts": page.configuration,
      "index.html": page.index(name),
      "src/data.ts": program.data,
      "src/model.ts": program.model("ts"),
      "src/main.ts": page.main,
      "src/worker.ts": page.worker,
      "src/style.css": page.style,
      "src/model.test.ts": test,
      ".gitignore": "node_modules/\ndist/\n",
      "README.md": readme(
        name,
        "pages, built by Vite",
        { commands },
        `${FILES("ts", "src/")}\n\`src/worker.ts\` trains and predicts, \`src/main.ts\` shows it.`,
      ),
    },
  };
}

/**
 * The templates by name: what a project of this name consists of, with the library from a registry, or from a clone of
 * its repository at this path from the project.
 */
export const templates = { deno: forDeno, node: forNode, vite: forVite } as const satisfies Readonly<
  Record<string, (name: string, clone?: string) => Project>
>;
