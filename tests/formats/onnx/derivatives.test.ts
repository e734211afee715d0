/** Derivatives of imported operators beside differences, in float64: of those composed of other operations. */
import { grad, host, type HostTensor, mul, sum, type Tensor, tensor } from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { assert } from "@std/assert";
import { fileOf, node, type Value } from "./support/graphs.ts";

interface Case {
  readonly operator: string;
  readonly x: readonly number[];
  readonly shape?: readonly number[];
  readonly attributes?: { readonly [name: string]: Value };
  /** Other inputs of floats, in order; those derived too are named. */
  readonly others?: readonly { readonly name: string; readonly value: HostTensor }[];
  readonly ints?: { readonly [name: string]: readonly number[] };
  /** The order of the inputs; default: x, then the others, then the ints. */
  readonly order?: readonly string[];
  readonly intShapes?: { readonly [name: string]: readonly number[] };
  readonly opset?: number;
}

const f64 = (values: readonly number[], shape: readonly number[] = [values.length]) =>
  tensor(values, { shape, dtype: "float64" });

const updates = { name: "updates", value: f64([0.7, -0.4, 1.3, 0.2]) };
/** Some places twice, so that more than one update meets. */
const places = { indices: [1, 3, 1, 4] };

const cases: readonly Case[] = [
  ...["Atan", "Asinh", "Sinh", "Cosh", "Tan", "Celu", "Swish"].map((operator): Case => ({
    operator,
    x: [-2.5, -0.7, -0.2, 0.3, 0.9, 3],
    opset: operator === "Swish" ? 24 : 17,
  })),
  ...["Asin", "Acos", "Atanh"].map((operator): Case => ({ operator, x: [-0.9, -0.3, 0.2, 0.6] })),
  { operator: "Acosh", x: [1.2, 2, 7] },
  {
    operator: "Mod",
    x: [-2.3, 1.7, 5.2],
    attributes: { fmod: 1 },
    others: [{ name: "by", value: f64([0.8]) }],
  },
  { operator: "CumProd", x: [0.5, -1.5, 2, 0.7], ints: { axis: [0] }, opset: 26 },
  { operator: "ReduceProd", x: [0.5, -1.5, 2, 0.7, 3], attributes: { axes: [0] } },
  { operator: "LpNormalization", x: [0.5, -1.5, 2, 0.7] },
  {
    operator: "RMSNormalization",
    x: [0.5, -1.5, 2, 0.7],
    others: [{ name: "scale", value: f64([1, 2, 3, 4]) }],
    opset: 23,
  },
  {
    operator: "LRN",
    x: [0.5, -1.5, 2, 0.7],
    shape: [1, 4, 1, 1],
    attributes: { size: 3, alpha: { float: 0.3 } },
  },
  { operator: "MeanVarianceNormalization", x: [0.5, -1.5, 2, 0.7], attributes: { axes: [0] } },
  { operator: "DFT", x: [0.5, -1.5, 2, 0.7], shape: [1, 4, 1], attributes: { onesided: 1 } },
  ...["none", "add", "mul", "max", "min"].map((reduction): Case => ({
    operator: "ScatterElements",
    x: [0.1, 0.3, -0.6, 0.9, 1.1],
    attributes: { reduction },
    others: [updates],
    ints: reduction === "none" ? { indices: [1, 3, 0, 4] } : places,
    order: ["x", "indices", "updates"],
    opset: 18,
  })),
  ...["linear", "cubic", "nearest"].map((mode): Case => ({
    operator: "Resize",
    x: [1, -2, 0.5, 4, 3],
    attributes: { mode },
    ints: { sizes: [7] },
    order: ["x", "", "", "sizes"],
  })),
  {
    operator: "GatherND",
    x: [1, 2, 3, 4, 5, 6],
    shape: [3, 2],
    ints: { indices: [2, 0, 0, 1, 2, 0] },
    intShapes: { indices: [3, 2] },
  },
];

/** The file of a case, with what is derived as inputs. */
function fileOfCase(
  { operator, x, shape, attributes, others = [], ints = {}, order, intShapes = {}, opset = 17 }: Case,
) {
  const shaped = Object.entries(intShapes);
  const names = order ?? ["x", ...others.map(({ name }) => name), ...Object.keys(ints)];
  return fileOf({
    nodes: [
      ...shaped.map(([name]) => node("Reshape", [name, `${name}_shape`], [`${name}_shaped`])),
      node(operator, names.map((name) => name in intShapes ? `${name}_shaped` : name), ["out"], attributes),
    ],
    inputs: { x: f64(x, shape), ...Object.fromEntries(others.map(({ name, value }) => [name, value])) },
    ints: { ...ints, ...Object.fromEntries(shaped.map(([name, dims]) => [`${name}_shape`, dims])) },
    outputs: { out: "float32" },
    opset,
  });
}

const STEP = 1e-6;

for (const given of cases) {
  const { operator, attributes = {} } = given;
  Deno.test(`the derivative of ${operator} ${JSON.stringify(attributes)} is that of differences`, () => {
    const { model, variables, inputs } = fromOnnx(fileOfCase(given));
    const all: Record<string, HostTensor> = {
      x: f64(given.x, given.shape),
      ...Object.fromEntries((given.others ?? []).map(({ name, value }) => [name, value])),
    };
    const loss = (given: Readonly<Record<string, Tensor>>) => {
      const input = inputs.length === 1 ? given[inputs[0].name] : given;
      const output = model.apply(variables, input, { training: false }).output as Tensor; // one output
      // Weights that differ, so that no two elements can stand for each other.
      const size = output.shape.reduce<number>((size, dim) => size * Number(dim), 1);
      const weights = f64(
        Array.from({ length: size }, (_, index) => 0.3 + index * 0.7 % 1.9),
        output.shape.map(Number),
      );
      return sum(mul(output, weights));
    };
    const slopes = grad(loss)(all) as unknown as Record<string, Tensor>;
    for (const [name, { data, shape }] of Object.entries(all)) {
      const slope = host(slopes[name]).data;
      data.forEach((_, index) => {
        const at = (offset: number) => {
          const moved = Array.from(data, (value, other) => other === index ? value + offset : value);
          return host(loss({ ...all, [name]: f64(moved, shape) })).data[0];
        };
        const difference = (at(STEP) - at(-STEP)) / (2 * STEP);
        const error = Math.abs(slope[index] - difference);
        // A difference of second order: the step squared, and the rounding of float64 over the step.
        assert(
          error <= 1e-7 * Math.max(1, Math.abs(difference)),
          `${name}[${index}]: ${slope[index]}, expected ${difference}`,
        );
      });
    }
  });
}
