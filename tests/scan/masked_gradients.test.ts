/**
 * What does not count in value does not count in the derivative: gradients through masks and lengths are those of the
 * sequences without what is left out, whatever stands there, on every backend.
 */
import {
  add,
  cast,
  type Cell,
  compile,
  concat,
  div,
  expandDims,
  grad,
  log,
  matmul,
  mul,
  scan,
  type ScanOptions,
  select,
  slice,
  sqrt,
  square,
  sum,
  tanh,
  type Tensor,
  tensor,
  toNested,
  type Tree,
  treeLeaves,
  zeros,
} from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";
import { assertClose, doubled, random } from "../layers/helpers.ts";

interface State {
  readonly count: Tensor;
  readonly hidden: Tensor;
  readonly total: Tensor;
}

interface Step {
  readonly gap: Tensor;
  readonly x: Tensor;
}

interface Weights {
  readonly recurrent: Tensor;
  readonly w: Tensor;
}

/** A cell with a state of several tensors, which reads a number for each row too and takes its logarithm and root. */
function cellOf({ w, recurrent }: Weights): Cell<State, Step, { readonly mean: Tensor; readonly y: Tensor }> {
  return ({ count, hidden, total }, { gap, x }) => {
    const decayed = div(hidden, expandDims(add(1, sqrt(gap)), 1));
    const next = tanh(add(matmul(x, w), matmul(decayed, recurrent)));
    const counted = add(count, 1);
    const all = add(total, mul(next, expandDims(log(gap), 1)));
    const mean = div(all, expandDims(cast(counted, all.dtype), 1));
    return [{ mean, y: next }, { count: counted, hidden: next, total: all }];
  };
}

const [BATCH, TIME] = [3, 6];
const weights: Weights = { recurrent: random(1, [2, 2]), w: random(2, [3, 2]) };
const x = random(3, [BATCH, TIME, 3]);
const gap = add(0.5, square(random(4, [BATCH, TIME])));

function initial(batch: number, dtype: "float32" | "float64"): State {
  return {
    count: zeros([batch], { dtype: "int32" }),
    hidden: zeros([batch, 2], { dtype }),
    total: zeros([batch, 2], { dtype }),
  };
}

/** A loss of the final state, and of the outputs that count. */
function loss(weights: Weights, inputs: Step, options: ScanOptions, counted?: Tensor): Tensor {
  const [{ mean, y }, { hidden, total }] = scan(
    cellOf(weights),
    initial(inputs.x.shape[0] as number, inputs.x.dtype as "float32"),
    inputs,
    options,
  );
  const shown = (z: Tensor) => counted ? select(expandDims(counted, 2), z, 0) : z;
  return [mean, y].map((z) => sum(square(shown(z)))).reduce(
    (a, b) => add(a, b),
    add(sum(mul(hidden, 0.3)), sum(total)),
  );
}

/** `x` and `gap` with `other` where the mask is false. */
function withOther(mask: Tensor, other: number): Step {
  return { gap: select(mask, gap, other), x: select(expandDims(mask, 2), x, other) };
}

const lengths = [6, 4, 0];
const holes = [[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]];
const masks = {
  lengths: tensor(lengths.map((length) => Array.from({ length: TIME }, (_, step) => step < length))),
  "a mask with holes": tensor(holes.map((row) => row.map((step) => step === 1))),
};
const OTHERS = [NaN, Infinity, -Infinity, 0, -1, 3e38];

/** The gradient of the sum over rows, each of which has only the steps that count, in float64. */
function gradientOfRows(mask: Tensor, options: ScanOptions): Weights {
  const rows = (toNested(mask) as number[][]).map((row) => row.flatMap((step, index) => step ? [index] : []));
  return grad((weights: Weights) =>
    rows.map((steps, row) => {
      if (steps.length === 0) return cast(tensor(0), "float64");
      const pick = (z: Tensor) =>
        concat(
          steps.map((step) =>
            slice(z, { start: [row, step, 0].slice(0, z.shape.length), size: [1, 1, ...z.shape.slice(2)] })
          ),
          { axis: 1 },
        );
      return loss(weights, { gap: pick(doubled(gap)), x: pick(doubled(x)) }, options);
    }).reduce((a, b) => add(a, b))
  )(doubled(weights));
}

for (const [name, mask] of Object.entries(masks)) {
  for (const reverse of [false, true]) {
    for (const maskedOutput of ["previous", "zero"] as const) {
      for (const checkpointEvery of [undefined, 4]) {
        const how = [name, reverse ? "reverse" : "forward", maskedOutput, checkpointEvery ?? "all kept"].join(
          ", ",
        );
        Deno.test(`gradients of scan are those of what counts: ${how}`, () => {
          const given = name === "lengths" ? { lengths: tensor(lengths, { dtype: "int32" }) } : { mask };
          const expected = gradientOfRows(mask, { reverse });
          for (const other of OTHERS) {
            const found = grad((weights: Weights) =>
              loss(weights, doubled(withOther(mask, other)), {
                ...given,
                reverse,
                maskedOutput,
                checkpointEvery,
              }, mask)
            )(doubled(weights));
            // Sums over a few dozen numbers of size 1, in another order.
            assertClose(found as unknown as Tree<Tensor>, expected as unknown as Tree<Tensor>, 1e-12);
          }
        });
      }
    }
  }
}

for (const device of ["reference", "wasm", "webgpu"] as const) {
  Deno.test({
    name: `gradients of scan do not see what is masked on ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    fn: async () => {
      for (const [name, mask] of Object.entries(masks)) {
        const gradient = grad(({ weights, inputs }: { weights: Weights; inputs: Step }) =>
          loss(weights, inputs, { mask }, mask)
        );
        using run = compile(gradient, { device });
        const at = async (other: number) =>
          treeLeaves<Tensor>(
            await run({ weights, inputs: withOther(mask, other) }) as unknown as Tree<Tensor>,
          );
        const expected = (await at(1)).map(toNested);
        for (const other of OTHERS) {
          assertEquals((await at(other)).map(toNested), expected, `${name}, ${other} where masked`);
        }
        assert(JSON.stringify(expected).indexOf("null") < 0, "all numbers are finite");
      }
    },
  });
}

Deno.test("scan reads a number for all rows where any of them counts", () => {
  const decay: Cell<Tensor, { readonly rate: Tensor; readonly x: Tensor }, Tensor> = (h, { rate, x }) => {
    const next = add(mul(h, rate), x);
    return [next, next];
  };
  const lengths = tensor([2, 1], { dtype: "int32" });
  const last = (rate: Tensor) =>
    sum(scan(decay, zeros([2]), { rate, x: tensor([[1, 2, NaN], [3, NaN, NaN]]) }, { lengths })[1]);
  assertEquals(toNested(last(tensor([0.5, 0.25, NaN]))), 1 * 0.25 + 2 + 3);
  assertEquals(toNested(grad(last)(tensor([0.5, 0.25, NaN]))), [0, 1, 0]);
});
