/** The option `wide`: the same results with and without an engine that computes pairs of vectors as one. */
import { assertEquals, assertMatch, assertRejects } from "../../assert.ts";
import { compile, host, key, matmul, normal, type Tensor } from "../../../mod.ts";

const canSpawn = (await Deno.permissions.query({ name: "run" })).state === "granted";
const PAIRING = "--experimental-wasm-revectorize,--no-wasm-bounds-checks";

/** Products of many shapes as text, and what `explain` says. */
const program = `
import { compile, key, matmul, normal } from ${JSON.stringify(import.meta.resolve("../../../mod.ts"))};
const device = { name: "wasm", threads: 1, wide: true };
const product = compile((x, y) => matmul(x, y), { device });
let all = 0;
for (const [m, k, n] of [[1, 3, 5], [2, 64, 40], [3, 17, 24], [5, 9, 33], [64, 64, 256], [11, 600, 100]]) {
  const { data } = await product(normal(key(m), [m, k]), normal(key(n), [k, n]));
  for (const bits of new Int32Array(data.buffer, data.byteOffset, data.length)) all = Math.imul(all, 31) + bits | 0;
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
  name: "wide tiles give the same bits in an engine that pairs vectors, and explain says which it is",
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
