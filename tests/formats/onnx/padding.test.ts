/** Pad: every mode, with values that arithmetic would not keep, beside a definition by indices. */
import { compile, host, type HostTensor, key, spec, type Tensor, tensor, uniform } from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { assertEquals, assertThrows } from "@std/assert";
import { fileOf, node } from "./support/graphs.ts";

type Mode = "constant" | "edge" | "reflect" | "wrap";

/** Which element an index outside of an axis stands for; undefined for the constant. */
function source(mode: Mode, index: number, size: number): number | undefined {
  if (index >= 0 && index < size) return index;
  switch (mode) {
    case "constant":
      return undefined;
    case "edge":
      return index < 0 ? 0 : size - 1;
    case "wrap":
      return ((index % size) + size) % size;
    case "reflect": {
      if (size === 1) return 0;
      const period = 2 * (size - 1), at = ((index % period) + period) % period;
      return at < size ? at : period - at;
    }
  }
}

function expected(x: HostTensor, pads: readonly number[], mode: Mode, fill: number): number[] {
  const [rows, columns] = x.shape;
  const [top, left, bottom, right] = pads;
  return Array.from(
    { length: rows + top + bottom },
    (_, i) =>
      Array.from({ length: columns + left + right }, (_, j) => {
        const [row, column] = [source(mode, i - top, rows), source(mode, j - left, columns)];
        return row === undefined || column === undefined ? fill : x.data[row * columns + column];
      }),
  ).flat();
}

/** The output for every way to run it: at once, and compiled for open sizes. */
async function outputs(bytes: Uint8Array, x: Tensor): Promise<number[][]> {
  const { model, variables } = fromOnnx(bytes);
  const run = (x: Tensor) => model.apply(variables, x, { training: false }).output as Tensor; // of one output
  using compiled = compile(run, { device: "wasm", specs: [spec([null, null], x.dtype)] });
  return [run(x), await compiled(x)].map((tensor) => [...host(tensor).data]);
}

const AMOUNTS = [[0, 0, 0, 0], [1, 0, 0, 2], [0, 3, 2, 1], [2, 2, 2, 2]];

for (const mode of ["constant", "edge", "reflect", "wrap"] as const) {
  Deno.test(`Pad ${mode} moves elements and computes with none of them`, async () => {
    const shape = [3, 4];
    const values = [...host(uniform(key(1), shape)).data];
    values[2] = NaN, values[5] = -Infinity, values[7] = 1e-30;
    const x = host(tensor(values, { shape }));
    for (const fill of mode === "constant" ? [0, -1e9, -Infinity, NaN, 1] : [0]) {
      for (const pads of AMOUNTS) {
        const bytes = fileOf({
          nodes: [node("Pad", ["x", "pads", "fill"], ["out"], { mode })],
          inputs: { x },
          ints: { pads },
          weights: { fill: tensor(fill) },
          outputs: { out: "float32" },
          opset: 19,
        });
        const wanted = expected(x, pads, mode, fill);
        for (const actual of await outputs(bytes, x)) assertEquals(actual, wanted, `${pads} with ${fill}`);
      }
    }
  });
}

Deno.test("Pad mirrors and repeats more often than the axis is long, and cuts before it fills", () => {
  for (const mode of ["edge", "reflect", "wrap"] as const) {
    for (const shape of [[1, 1], [1, 2], [2, 3]]) {
      for (const pads of [[5, 7, 4, 9], [0, 6, 3, 0]]) {
        const x = host(uniform(key(2), shape));
        const nodes = [node("Pad", ["x", "pads"], ["out"], { mode })];
        const bytes = fileOf({
          nodes,
          inputs: { x },
          ints: { pads },
          outputs: { out: "float32" },
          opset: 19,
        });
        const { model, variables } = fromOnnx(bytes);
        const { output } = model.apply(variables, x, { training: false });
        assertEquals(
          [...host(output as Tensor).data],
          expected(x, pads, mode, 0),
          `${mode} ${shape} ${pads}`,
        );
      }
    }
  }
  const x = tensor([[1, 2, 3, 4]]);
  const nodes = [node("Pad", ["x", "pads"], ["out"], { mode: "reflect" })];
  const bytes = fileOf({ nodes, inputs: { x }, ints: { pads: [0, -1, 0, 2] }, outputs: { out: "float32" } });
  const { model, variables } = fromOnnx(bytes);
  const { output } = model.apply(variables, x, { training: false });
  assertEquals([...host(output as Tensor).data], [2, 3, 4, 3, 2]);
});

Deno.test("Pad takes whole numbers and bools, and refuses other modes and axes without elements", async () => {
  const of = (x: HostTensor, mode: string, fill?: HostTensor) =>
    fileOf({
      nodes: [node("Pad", ["x", "pads", ...fill ? ["fill"] : []], ["out"], { mode })],
      inputs: { x },
      ints: { pads: [0, 1, 0, 1] },
      weights: fill ? { fill } : {},
      outputs: { out: x.dtype === "bool" ? "bool" : "int32" },
    });
  const whole = tensor([[5, 6]], { dtype: "int32" });
  for (const actual of await outputs(of(whole, "constant", tensor(-7, { dtype: "int32" })), whole)) {
    assertEquals(actual, [-7, 5, 6, -7]);
  }
  const truth = tensor([[true, false]]);
  for (const fill of [true, false]) {
    for (const actual of await outputs(of(truth, "constant", tensor(fill)), truth)) {
      assertEquals(actual, [Number(fill), 1, 0, Number(fill)]);
    }
  }
  const run = (bytes: Uint8Array, x: Tensor) => {
    const { model, variables } = fromOnnx(bytes);
    return model.apply(variables, x, { training: false });
  };
  assertThrows(
    () => run(of(whole, "mirror"), whole),
    Error,
    'mode is "mirror", expected constant, edge, reflect, wrap',
  );
  const nothing = tensor([], { shape: [1, 0], dtype: "int32" });
  assertThrows(() => run(of(nothing, "edge"), nothing), Error, "has none there");
});
