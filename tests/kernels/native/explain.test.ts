/** `explain` on native shows the functions of C as they are in the file that it names. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  compile,
  dense,
  gru,
  init,
  key,
  matmul,
  normal,
  sequential,
  spec,
  sum,
  tanh,
  type Tensor,
  zeros,
} from "../../../mod.ts";
import { missing } from "./backends.ts";

const ignore = missing !== undefined;

/** The path of the file, its content, the kernels as lines, and the functions that are shown. */
async function partsOf(text: string) {
  const [, path] = text.match(/lines of C for all sizes: (.*)$/m) ?? [];
  const source = await Deno.readTextFile(path);
  const kernels = text.slice(text.indexOf("plans kept")).split("\n").slice(1);
  const shown = kernels.filter((line) => line.includes("| ")).map((line) => line.replace(/^ *\| /, ""));
  const functions = shown.join("\n").split(/(?=^APART )/m).map((each) => each.trimEnd());
  return { source, kernels, functions, lines: shown.length };
}

function definitionsIn(source: string): number {
  return source.match(/^APART void \w+\(const struct call \*c, int64_t begin/gm)?.length ?? 0;
}

Deno.test({
  name: "native: explain shows the C of all kernels of a short Program, those in loops included",
  ignore,
  async fn() {
    const model = sequential([gru({ units: 16 }), dense({ units: 3 })]);
    const variables = init(model, key(0), spec([null, null, 4]));
    using predict = compile(
      (x: Tensor) => model.apply(variables, x, { training: false }).output as Tensor,
      { device: "native" },
    );
    await predict(zeros([2, 5, 4]));
    const { source, functions, kernels } = await partsOf(predict.explain());
    for (const each of functions) assertStringIncludes(source, each);
    assertEquals(functions.length, definitionsIn(source));
    const scan = kernels.findIndex((line) => /^ {2}scan of /.test(line));
    assertMatch(kernels[scan + 1], /^ {4}\| APART void scan_0\(/);
    assert(kernels.some((line) => /^ {6}\| .*= v_tanh\(/.test(line)), "the body of the loop");
  },
});

Deno.test({
  name: "native: explain shows the C of the kernels that do the most work, and names the others",
  ignore,
  async fn() {
    using many = compile((x: Tensor, w: Tensor) => {
      const cheap = Array.from({ length: 70 }, (_, at) => sum(tanh(x), { axes: [at % 2] }));
      return [
        ...cheap.map((each, at) => matmul(each, zeros([each.shape[0] as number, at + 1]))),
        matmul(x, w),
      ];
    }, { device: "native" });
    await many(normal(key(0), [40, 30]), normal(key(1), [30, 2000]));
    const { source, functions, kernels, lines } = await partsOf(many.explain());
    for (const each of functions) assertStringIncludes(source, each);
    assert(lines <= 400 && functions.length < definitionsIn(source), `${lines} lines`);
    const heaviest = kernels.findIndex((line) => line.startsWith("  matmul [40, 30] -> [40, 2000]"));
    assertMatch(kernels[heaviest + 1], /\| APART void matmul_\d+\(/);
    const named = kernels.flatMap((line) => line.match(/: (\w+) in that file$/)?.[1] ?? []);
    assertEquals(named.length + functions.length, definitionsIn(source));
    for (const name of named) assertStringIncludes(source, `APART void ${name}(`);
  },
});
