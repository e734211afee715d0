/** ONNX's operators that draw: their distributions, and when they draw the same. */
import { compile, host, type HostTensor, key, type Tensor, tensor } from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { assert, assertEquals } from "@std/assert";
import { fileOf, node, type Value } from "./support/graphs.ts";

const COUNT = 4000;

function fileFor(
  operator: string,
  attributes: { readonly [name: string]: Value },
  isLike: boolean,
): Uint8Array {
  return fileOf({
    // Two nodes of a kind, which draw apart unless they have one seed.
    nodes: [
      node(operator, isLike ? ["x"] : [], ["a"], attributes),
      node(operator, isLike ? ["x"] : [], ["b"], attributes),
      node("Identity", ["x"], ["same"]),
    ],
    inputs: { x: tensor(Array.from({ length: COUNT }, () => 0.25)) },
    outputs: { a: "float32", b: "float32", same: "float32" },
  });
}

type Drawn = { readonly a: HostTensor; readonly b: HostTensor };

const x = tensor(Array.from({ length: COUNT }, () => 0.25));

function draw(bytes: Uint8Array, training: Tensor | undefined, input: Tensor = x): Drawn {
  const { model, variables } = fromOnnx(bytes);
  const { output } = model.apply(variables, input, { training: training !== undefined, key: training });
  return output as unknown as Drawn; // several outputs, by name
}

function moments({ data }: HostTensor): { readonly mean: number; readonly deviation: number } {
  const values = Array.from(data);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    mean,
    deviation: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length),
  };
}

function assertDiffer(a: HostTensor, b: HostTensor): void {
  assert(String(a.data) !== String(b.data));
}

/** Of that many independent draws the mean is off by 5 of its deviations less than once in a million. */
function assertMoments(drawn: HostTensor, mean: number, deviation: number): void {
  const found = moments(drawn);
  assert(
    Math.abs(found.mean - mean) <= 5 * deviation / Math.sqrt(COUNT),
    `the mean is ${found.mean}, not ${mean}`,
  );
  assert(
    Math.abs(found.deviation / deviation - 1) <= 0.1,
    `the deviation is ${found.deviation}, not ${deviation}`,
  );
}

for (const isLike of [false, true]) {
  const like = isLike ? "Like" : "";
  const shape: { readonly [name: string]: Value } = isLike ? {} : { shape: [COUNT] };
  Deno.test(`RandomNormal${like} and RandomUniform${like} have the distributions that their attributes say`, () => {
    const normal = draw(
      fileFor(`RandomNormal${like}`, { ...shape, mean: { float: 2 }, scale: { float: 0.5 } }, isLike),
      undefined,
    );
    assertMoments(normal.a, 2, 0.5);
    const uniform = draw(
      fileFor(`RandomUniform${like}`, { ...shape, low: { float: -1 }, high: { float: 3 } }, isLike),
      undefined,
    );
    assertMoments(uniform.a, 1, 4 / Math.sqrt(12));
    assert(uniform.a.data.every((value) => value >= -1 && value < 3));
    assertEquals(uniform.a.dtype, "float32");
    const whole = draw(
      fileFor(`RandomUniform${like}`, { ...shape, high: { float: 5 }, dtype: 6 }, isLike),
      undefined,
    );
    assertEquals(whole.a.dtype, "int32");
  });
}

Deno.test("Bernoulli and Multinomial draw by the probabilities that are given", () => {
  const { a } = draw(fileFor("Bernoulli", {}, true), undefined);
  assertMoments(a, 0.25, Math.sqrt(0.25 * 0.75));
  const bytes = fileOf({
    nodes: [node("Multinomial", ["x"], ["out"], { sample_size: COUNT, dtype: 6 })],
    inputs: { x: tensor([[0, 0]]) },
    outputs: { out: "int32" },
  });
  const { model, variables } = fromOnnx(bytes);
  const logits = tensor([[Math.log(0.1), Math.log(0.9)], [0, -1000]]);
  const drawn = host(model.apply(variables, logits, { training: false }).output as Tensor); // one output
  assertEquals([...drawn.shape], [2, COUNT]);
  assertMoments(tensor([...drawn.data.slice(0, COUNT)]), 0.9, 0.3);
  assert(drawn.data.slice(COUNT).every((value) => value === 0));
});

Deno.test("random operators draw anew with each key of a call, and without one the same as their seed or name says", async () => {
  const bytes = fileFor("RandomNormalLike", {}, true);
  const first = draw(bytes, undefined);
  assertEquals(first.a.data, draw(bytes, undefined).a.data);
  assertDiffer(first.a, first.b);
  const [one, two] = [draw(bytes, key(1)), draw(bytes, key(2))];
  assertDiffer(one.a, two.a);
  assertDiffer(one.a, one.b);
  assertEquals(one.a.data, draw(bytes, key(1)).a.data);
  const seeded = draw(fileFor("RandomNormalLike", { seed: { float: 0.5 } }, true), undefined);
  assertEquals(seeded.a.data, seeded.b.data);
  assertDiffer(seeded.a, draw(fileFor("RandomNormalLike", { seed: { float: 0.25 } }, true), undefined).a);
  const { model, variables } = fromOnnx(bytes);
  using compiled = compile((x: Tensor) => model.apply(variables, x, { training: false }).output, {
    device: "reference",
  });
  const again = await compiled(x) as unknown as Drawn;
  assertEquals(host(again.a).data, first.a.data);
});
