/** What has no result where an axis is empty is refused in the same words while tracing, in eager calls, and when called. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  argmax,
  compile,
  type Device,
  gather,
  host,
  hostTensor,
  scan,
  scatterAdd,
  spec,
  type Tensor,
  toHost,
  toNested,
  zeros,
} from "../../mod.ts";
import { native } from "../../kernels/native/mod.ts";
import { webgpu } from "../../kernels/webgpu/mod.ts";

const ints = (values: readonly number[]) => hostTensor(Int32Array.from(values), [values.length]);
const floats = (shape: readonly number[]) =>
  hostTensor(new Float32Array(shape.reduce((size, dim) => size * dim, 1)), shape);

Deno.test("argmax refuses an axis that is known to be empty, and no other", () => {
  assertThrows(
    () => argmax(zeros([0, 3]), { axis: 0 }),
    RangeError,
    "Cannot take the argmax of [0, 3] along axis 0: it is empty",
  );
  assertThrows(() => argmax(zeros([2, 0])), RangeError, "argmax of [2, 0] along axis 1");
  assertThrows(() => argmax(zeros([0, 0]), { axis: 0 }), RangeError, "argmax of [0, 0] along axis 0");
  assertEquals(argmax(zeros([0, 3])).shape, [0]);
});

Deno.test("gather and scatterAdd refuse indices of no rows, and take none of none", () => {
  assertThrows(
    () => gather(zeros([0, 2]), ints([0, 1])),
    RangeError,
    "Cannot gather with 2 indices and a tensor of no rows",
  );
  assertThrows(
    () => scatterAdd(ints([0]), zeros([1, 2]), { rows: 0 }),
    RangeError,
    "Cannot scatterAdd with 1 index and a tensor of no rows",
  );
  assertEquals(gather(zeros([0, 2]), ints([])).shape, [0, 2]);
  assertEquals(scatterAdd(ints([]), zeros([0, 2]), { rows: 0 }).shape, [0, 2]);
});

const devices: readonly { readonly name: string; readonly device: Device; readonly ignore?: boolean }[] = [
  { name: "reference", device: "reference" },
  { name: "wasm", device: { name: "wasm", threads: 1 } },
  { name: "wasm with two threads", device: { name: "wasm", threads: 2, shareFrom: 0 } },
  { name: "native", device: { name: "native", threads: 2, shareFrom: 0 }, ignore: !await native.available() },
  { name: "webgpu", device: "webgpu", ignore: !await webgpu.available() },
];

for (const { name, device, ignore } of devices) {
  // Workers and a device outlive a test.
  const options = { ignore, sanitizeResources: false, sanitizeOps: false };

  Deno.test({
    name: `${name} refuses an argmax whose axis turns out to be empty, and goes on with the next call`,
    ...options,
    async fn() {
      using fn = compile((x: Tensor) => argmax(x, { axis: 0 }), { device, specs: [spec([null, 3])] });
      await assertRejects(() => fn(floats([0, 3])), RangeError, "argmax of [0, 3] along axis 0: it is empty");
      assertEquals(toNested(host(await toHost(await fn(floats([2, 3]))))), [0, 0, 0]);
      using inScan = compile(
        (x: Tensor) =>
          scan((h: Tensor, step: Tensor) => [argmax(step, { axis: 0 }), h] as const, zeros([]), x)[0],
        { device, specs: [spec([null, 2])] },
      );
      await assertRejects(() => inScan(floats([0, 2])), RangeError, "along axis 0: it is empty");
    },
  });

  Deno.test({
    name: `${name} refuses rows of a table that turns out to be empty, and takes none of none`,
    ...options,
    async fn() {
      using fn = compile((table: Tensor, indices: Tensor) => gather(table, indices), { device });
      await assertRejects(() => fn(floats([0, 2]), ints([0])), RangeError, "Cannot gather with 1 index");
      assertEquals((await fn(floats([0, 2]), ints([]))).shape, [0, 2]);
      assertEquals((await fn(floats([3, 0]), ints([1]))).shape, [1, 0]);
      using adding = compile(
        (indices: Tensor, table: Tensor) => scatterAdd(indices, zeros([1, 2]), { rows: table.shape[0] }),
        { device },
      );
      await assertRejects(() => adding(ints([0]), floats([0])), RangeError, "Cannot scatterAdd with 1 index");
    },
  });
}
