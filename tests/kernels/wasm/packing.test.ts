/** That right operands which are packed once are packed again whenever they are others. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  compile,
  type Device,
  type HostTensor,
  key,
  matmul,
  mul,
  normal,
  type Tensor,
  tensor,
} from "../../../mod.ts";
import { compileStep } from "../../../src/transforms/loop.ts";

function testOfDevice(name: string, fn: (device: Device) => Promise<void>): void {
  for (const threads of [1, 2]) {
    // The workers of a device outlive a test.
    const options = { sanitizeResources: false, sanitizeOps: false };
    Deno.test({
      name: `${name}, ${threads} threads`,
      ...options,
      fn: () => fn({ name: "wasm", threads, shareFrom: 0 }),
    });
  }
}

const [ROWS, TERMS, COLUMNS] = [5, 7, 9];
const left = whole(1, [ROWS, TERMS]);
const rights = [2, 3, 4].map((seed) => whole(seed, [TERMS, COLUMNS]));
// Eager calls are computed by the reference.
const expected = rights.map((right) => valuesOf(matmul(left, right)));

/** Whole numbers, whose sums are exact in any order. */
function whole(seed: number, shape: readonly number[]): HostTensor {
  const { data } = normal(key(seed), shape) as HostTensor; // eager
  return tensor([...data].map((value) => Math.round(8 * value)), { shape });
}

function valuesOf(x: Tensor): number[] {
  return [...(x as HostTensor).data].map((value) => value + 0); // on the host; -0 is 0
}

testOfDevice("a product follows its right operand, on the device and on the host", async (device) => {
  using product = compile((a: Tensor, b: Tensor) => matmul(a, b), { device });
  using upload = compile((x: Tensor) => mul(x, 1), { device, keep: true });
  const [first, second] = [await upload(rights[0]), await upload(rights[1])];
  for (const [right, index] of [[first, 0], [first, 0], [second, 1], [first, 0]] as const) {
    assertEquals(valuesOf(await product(left, right)), expected[index]);
  }
  assertStringIncludes(product.explain(), "once for the same inputs");
  // The next one lies where the first did.
  if (first.kind === "device") first[Symbol.dispose]();
  const third = await upload(rights[2]);
  assertEquals(valuesOf(await product(left, third)), expected[2]);
  // Typed arrays may have changed between two calls.
  const changing = tensor([...rights[0].data], { shape: [TERMS, COLUMNS] });
  assertEquals(valuesOf(await product(left, changing)), expected[0]);
  changing.data.set(rights[1].data);
  assertEquals(valuesOf(await product(left, changing)), expected[1]);
});

testOfDevice("a loop goes on with what it has packed", async (device) => {
  const step = (b: Tensor, state: Tensor, a: Tensor) => [matmul(a, b), mul(state, 1)] as const;
  using compiled = await compileStep(step, rights[0], tensor(0), left, left, { device });
  using loop = await compiled.begin(rights[0], tensor(0), left);
  for (let call = 0; call < 3; call++) assertEquals(valuesOf(await loop.run(left)), expected[0]);
});

testOfDevice("a loop packs what changes with every call", async (device) => {
  const step = (a: Tensor, state: Tensor, b: Tensor) => [matmul(a, b), mul(state, 1)] as const;
  using compiled = await compileStep(step, left, tensor(0), rights[0], rights[0], { device });
  using loop = await compiled.begin(left, tensor(0), rights[0]);
  for (const [index, right] of rights.entries()) {
    assertEquals(valuesOf(await loop.run(right)), expected[index]);
  }
  const carried = (a: Tensor, state: Tensor, x: Tensor) => [matmul(a, state), mul(state, x)] as const;
  using carrying = await compileStep(carried, left, rights[0], tensor(1), tensor(1), { device });
  using other = await carrying.begin(left, rights[0], tensor(1));
  assertEquals(valuesOf(await other.run(tensor(0))), expected[0]);
  assertEquals(new Set(valuesOf(await other.run(tensor(1)))), new Set([0]));
  other.writeState(rights[1]);
  assertEquals(valuesOf(await other.run(tensor(1))), expected[1]);
});
