/** The option `wide`: the same results with and without an engine that computes pairs of vectors as one. */
import { assertEquals, assertMatch, assertRejects } from "../../assert.ts";
import { compile, host, key, matmul, normal, type Tensor } from "../../../mod.ts";

const canSpawn = (await Deno.permissions.query({ name: "run" })).state === "granted";
/** With them the engine pairs vectors; without Liftoff it optimizes every function before the first call. */
const PAIRING = "--experimental-wasm-revectorize,--no-wasm-bounds-checks,--no-liftoff";

/** Results of products, elementwise operations and a scan of many shapes as text, and what `explain` says. */
const program = `
import {
  add, compile, grad, greater, key, matmul, mul, normal, reverse, scan, select, sigmoid, slice, sum,
  tanh, transpose, zeros,
} from ${JSON.stringify(import.meta.resolve("../../../mod.ts"))};
const device = { name: "wasm", threads: 1, wide: true };
const product = compile((x, y) => matmul(x, y), { device });
let all = 0;
const note = ({ data }) => {
  const bits = new Int32Array(Float32Array.from(data).buffer);
  for (const word of bits) all = Math.imul(all, 31) + word | 0;
};
const elementwise = [
  (x) => mul(sigmoid(x), tanh(x)),
  (x) => greater(x, 0),
  (x) => select(greater(x, 0), add(x, 1), mul(x, x)),
  (x) => add(transpose(x), 1),
  (x) => mul(reverse(x, 1), x),
  (x) => add(x, sum(x, { axes: 1, keepDims: true })),
  (x) => add(slice(x, { start: [0, 0], size: [x.shape[0], 1] }), x),
  (x) => slice(tanh(x), { start: [0, 0], size: x.shape.map((size) => Math.ceil(size / 2)), stride: [1, 2] }),
  (x) => grad((x) => sum(mul(tanh(x), x)))(x),
  (x) => scan((h, t) => { const next = tanh(add(h, t)); return [next, next]; }, zeros([x.shape[0]]), x)[0],
];
for (const [index, fn] of elementwise.entries()) {
  const compiled = compile(fn, { device });
  for (const columns of [1, 3, 4, 5, 7, 8, 9, 12, 16, 19, 31, 33]) {
    for (const rows of [1, 3]) note(await compiled(normal(key(index), [rows, columns])));
  }
}
for (const [m, k, n] of [[1, 3, 5], [2, 64, 40], [3, 17, 24], [5, 9, 33], [64, 64, 256], [11, 600, 100]]) {
  note(await product(normal(key(m), [m, k]), normal(key(n), [k, n])));
}
console.log(all);
console.log(product.explain().split("\\n").find((line) => line.includes("SIMD")));
`;

async function run(flags: readonly string[]): Promise<{ readonly bits: string; readonly explained: string }> {
  const file = await Deno.makeTempFile({ suffix: ".js" });
  await Deno.writeTextFile(file, program);
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "--allow-read", ...flags, file],
  }).output();
  await Deno.remove(file);
  assertEquals(success, true, new TextDecoder().decode(stderr));
  const [bits, explained] = new TextDecoder().decode(stdout).trim().split("\n");
  return { bits, explained };
}

Deno.test({
  name:
    "wide tiles and pairs of vectors give the same bits in an engine that pairs vectors, and explain says which it is",
  ignore: !canSpawn,
  async fn() {
    const plain = await run([]);
    assertMatch(plain.explained, /SIMD of 128 bits, as the engine does not pair vectors/);
    const paired = await run([`--v8-flags=${PAIRING}`]);
    // A processor may have no vectors of 256 bits.
    assertMatch(paired.explained, /SIMD of (256 bits|128 bits, as the engine does not pair vectors)/);
    assertEquals(paired.bits, plain.bits);
  },
});

Deno.test("wide is off unless it is asked for, and must be a boolean", async () => {
  const x = normal(key(0), [3, 20]), y = normal(key(1), [20, 30]);
  const product = (device: object) =>
    compile((x: Tensor, y: Tensor) => matmul(x, y), { device: { name: "wasm", threads: 1, ...device } });
  const [usual, wide] = [product({}), product({ wide: true })];
  assertEquals(host(await usual(x, y)).data, host(await wide(x, y)).data);
  assertEquals(/of (128|256) bits/.test(usual.explain()), false);
  assertMatch(wide.explain(), /of (128|256) bits/);
  await assertRejects(
    // deno-lint-ignore require-await
    async () => product({ wide: 1 }),
    TypeError,
    "wide",
  );
});
