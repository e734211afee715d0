/** A model in C as a program: a main that calls it with what it reads, compiled and run by the tests. */
import { assert, assertEquals } from "@std/assert";
import type { HostTensor, Tree } from "@cellfold/cellfold";
import type { CModel } from "@cellfold/cellfold/standalone";
import { treeLeaves } from "@cellfold/cellfold";

/** Warnings are errors. */
export const STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror"] as const;

/** A parameter of a function. */
interface Parameter {
  readonly type: "float" | "int32_t";
  readonly name: string;
  readonly kind: "in" | "size" | "out" | "work" | "state";
}

/** The parameters of a function that a header declares. */
export function parametersOf(header: string, name: string): Parameter[] {
  const [, list] = header.match(new RegExp(`${name}\\(([^)]*)\\);`)) ?? [];
  assert(list, `${name} is not declared`);
  return list.split(", ").map((text): Parameter => {
    const [, constant, type, star, parameter] = text.match(/^(const )?(\w+) (\*?)(\w+)$/) ?? [];
    const kind = constant ? "in" : !star ? "size" : parameter === "work" ? "work" : "out";
    if (type.endsWith("_state")) return { type: "float", name: parameter, kind: "state" };
    return { type: type as "float" | "int32_t", name: parameter, kind };
  });
}

/**
 * A main for a model: `predict SIZES… COUNTS…` and `stream STEPS RESET COUNTS…`, where counts are those of the
 * elements of inputs and outputs, read from and written to the standard streams.
 */
export function mainOf({ name, header }: CModel): string {
  const predict = parametersOf(header, `${name}_predict`);
  const hasStep = header.includes(`${name}_step(`);
  const step = hasStep ? parametersOf(header, `${name}_step`) : [];
  const sizes = predict.filter(({ kind }) => kind === "size");
  const arrays = (all: readonly Parameter[]) => all.filter(({ kind }) => kind === "in" || kind === "out");
  const allocate = (all: readonly Parameter[]) =>
    arrays(all).map(({ type, name }) =>
      `    const size_t count_${name} = strtoul(v[a++], 0, 10); ${type} *${name} = calloc(count_${name} + 1, 4);`
    );
  const move = (all: readonly Parameter[], kind: "in" | "out") =>
    all.filter((each) => each.kind === kind).map(({ name }) =>
      kind === "in"
        ? `if (fread(${name}, 4, count_${name}, stdin) != count_${name}) return 3;`
        : `fwrite(${name}, 4, count_${name}, stdout);`
    );
  const work = `${name.toUpperCase()}_WORK`;
  const workCall = sizes.length === 0 ? work : `${work}(${sizes.map(({ name }) => name).join(", ")})`;
  return [
    `#include "${name}.h"`,
    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>",
    "int main(int n, char **v) {",
    "  int a = 2;\n  if (n < 2) return 2;",
    '  if (!strcmp(v[1], "predict")) {',
    ...sizes.map(({ name }) => `    const int32_t ${name} = atoi(v[a++]);`),
    ...allocate(predict),
    `    float *work = malloc(4 * (size_t)(${workCall} + 1));`,
    ...move(predict, "in").map((line) => `    ${line}`),
    `    memset(work, 0xa5, 4 * (size_t)${workCall});`,
    `    if (!${name}_predict(${predict.map(({ name }) => name).join(", ")})) return 4;`,
    ...move(predict, "out").map((line) => `    ${line}`),
    "  }",
    ...(hasStep
      ? [
        '  if (!strcmp(v[1], "stream")) {',
        "    const int steps = atoi(v[a++]), reset = atoi(v[a++]);",
        ...allocate(step),
        `    static ${name}_state memory, *state = &memory;`,
        "    memset(state, 0xa5, sizeof memory);",
        "    for (int i = 0; i < steps; i++) {",
        `      if (i % reset == 0) ${name}_reset(state);`,
        ...move(step, "in").map((line) => `      ${line}`),
        `      ${name}_step(${step.map(({ name }) => name).join(", ")});`,
        ...move(step, "out").map((line) => `      ${line}`),
        "    }\n  }",
      ]
      : []),
    "  return 0;\n}\n",
  ].join("\n");
}

/** Runs a command, which must succeed. */
export async function run(
  command: string,
  args: readonly string[],
  input: Uint8Array = new Uint8Array(),
): Promise<Uint8Array> {
  const process = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(input);
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  assertEquals(code, 0, `${command}: ${new TextDecoder().decode(stderr)}`);
  return stdout;
}

/** Whether a command is on this machine. */
export async function has(command: string): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false;
  }
}

/** Writes the files of a model and its main; returns the paths of the sources. */
export async function writeSources(directory: string, model: CModel): Promise<string[]> {
  const files = {
    [`${model.name}.c`]: model.source,
    [`${model.name}.h`]: model.header,
    "main.c": mainOf(model),
  };
  for (const [file, text] of Object.entries(files)) await Deno.writeTextFile(`${directory}/${file}`, text);
  return [`${directory}/${model.name}.c`, `${directory}/main.c`];
}

/** The elements of tensors as programs in C have them, 4 bytes each. */
export function bytesOf(tree: Tree<HostTensor>): Uint8Array {
  const parts = treeLeaves<HostTensor>(tree).map(({ dtype, data }) =>
    new Uint8Array((dtype === "float32" ? Float32Array.from(data) : Int32Array.from(data)).buffer)
  );
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The numbers of elements of tensors. */
export function countsOf(tree: Tree<HostTensor>): string[] {
  return treeLeaves<HostTensor>(tree).map(({ data }) => String(data.length));
}

/** Fails unless a program's output is that of the library: floats to within `tolerance` of 1 and of themselves. */
export function assertOutput(
  bytes: Uint8Array,
  expected: Tree<HostTensor>,
  tolerance: number,
  what: string,
): void {
  let at = 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  treeLeaves<HostTensor>(expected).forEach(({ dtype, data }, leaf) => {
    data.forEach((value, index) => {
      const found = dtype === "float32" ? view.getFloat32(at, true) : view.getInt32(at, true);
      at += 4;
      const isNear = Object.is(found, value) || found === value ||
        Math.abs(found - value) <= tolerance * Math.max(1, Math.abs(value)) ||
        (Number.isNaN(found) && Number.isNaN(value));
      assert(isNear, `${what}: element ${index} of output ${leaf} is ${found}, expected ${value}`);
    });
  });
  assertEquals(at, bytes.length, `${what}: elements of the output`);
}
