import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { parseIdx } from "../../src/data/idx.ts";

const LABELS = new Uint8Array([0, 0, 0x08, 1, 0, 0, 0, 3, 5, 0, 255]);

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function idx(code: number, shape: number[], bytes: number, write: (view: DataView) => void): Uint8Array {
  const file = new Uint8Array(4 + 4 * shape.length + bytes);
  file.set([0, 0, code, shape.length]);
  const header = new DataView(file.buffer);
  shape.forEach((dim, axis) => header.setUint32(4 + 4 * axis, dim));
  write(new DataView(file.buffer, 4 + 4 * shape.length));
  return file;
}

Deno.test("parseIdx reads unsigned bytes as int32", async () => {
  const labels = await parseIdx(LABELS);
  assertEquals(labels.dtype, "int32");
  assertEquals(labels.shape, [3]);
  assertEquals([...labels.data], [5, 0, 255]);
});

Deno.test("parseIdx reads a view into a larger buffer", async () => {
  const buffer = new Uint8Array(LABELS.length + 7);
  buffer.set(LABELS, 7);
  assertEquals([...(await parseIdx(buffer.subarray(7))).data], [5, 0, 255]);
});

Deno.test("parseIdx reads every type, big-endian", async () => {
  const cases: [number, number, string, (view: DataView, value: number) => void, number[]][] = [
    [0x09, 1, "int32", (view, value) => view.setInt8(0, value), [-128, 127]],
    [0x0b, 2, "int32", (view, value) => view.setInt16(0, value), [-32768, 258]],
    [0x0c, 4, "int32", (view, value) => view.setInt32(0, value), [-2147483648, 16909060]],
    [0x0d, 4, "float32", (view, value) => view.setFloat32(0, value), [-1.5, Infinity]],
    [0x0e, 8, "float64", (view, value) => view.setFloat64(0, value), [0.1, -1e300]],
  ];
  for (const [code, size, dtype, write, values] of cases) {
    for (const value of values) {
      const parsed = await parseIdx(idx(code, [1, 1], size, (view) => write(view, value)));
      assertEquals(parsed.dtype, dtype);
      assertEquals(parsed.shape, [1, 1]);
      assertEquals(parsed.data[0], value);
    }
  }
});

Deno.test("parseIdx inflates gzip", async () => {
  assertEquals(await parseIdx(await gzip(LABELS)), await parseIdx(LABELS));
});

Deno.test("parseIdx accepts an axis of size 0", async () => {
  assertEquals((await parseIdx(idx(0x08, [0, 28, 28], 0, () => {}))).shape, [0, 28, 28]);
  assertEquals((await parseIdx(idx(0x08, [65535, 65535, 0], 0, () => {}))).data.length, 0);
});

Deno.test("parseIdx names truncation at every length", async () => {
  for (let length = 0; length < LABELS.length; length++) {
    const error = await assertRejects(() => parseIdx(LABELS.slice(0, length)), SyntaxError, "truncated");
    if (length >= 8) assertStringIncludes(error.message, "takes 11 bytes");
  }
});

Deno.test("parseIdx believes no declared size", async () => {
  const huge = idx(0x08, [0xffffffff, 0xffff], 16, () => {});
  await assertRejects(() => parseIdx(huge), SyntaxError, "truncated");
  for (
    const shape of [[0xffffffff, 0xffffffff], Array(255).fill(0xffffffff), [...Array(40).fill(0xffffffff), 0]]
  ) {
    const impossible = idx(0x08, shape, 1, () => {});
    await assertRejects(() => parseIdx(impossible), SyntaxError, "more values than a file can hold");
  }
});

Deno.test("parseIdx names trailing bytes", async () => {
  await assertRejects(() => parseIdx(new Uint8Array([...LABELS, 1])), SyntaxError, "trailing bytes");
});

Deno.test("parseIdx stops inflating where the declared size ends", async () => {
  const bomb = new Uint8Array(64 << 20);
  bomb.set(LABELS);
  await assertRejects(async () => parseIdx(await gzip(bomb)), SyntaxError, "more than 11");
});

Deno.test("parseIdx names a bad magic number", async () => {
  await assertRejects(
    () => parseIdx(new TextEncoder().encode("<!doctype html>")),
    SyntaxError,
    "3c 21 64 6f",
  );
  await assertRejects(
    () => parseIdx(new Uint8Array([0, 0, 0x0a, 1, 0, 0, 0, 0])),
    SyntaxError,
    "00 00 0a 01",
  );
  await assertRejects(
    async () => parseIdx(await gzip(new TextEncoder().encode("not an IDX file"))),
    SyntaxError,
    "magic number",
  );
});

Deno.test("parseIdx names corrupt gzip", async () => {
  const good = await gzip(LABELS);
  for (let length = 2; length < good.length; length++) {
    await assertRejects(() => parseIdx(good.slice(0, length)), SyntaxError);
  }
  const flipped = good.slice();
  flipped[flipped.length - 6] ^= 0xff; // the checksum in the trailer
  await assertRejects(() => parseIdx(flipped), SyntaxError, "corrupt or truncated");
  await assertRejects(() => parseIdx(new Uint8Array([...good, 7])), SyntaxError);
});
