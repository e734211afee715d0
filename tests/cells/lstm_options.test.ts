/** The options that change a line of the LSTM each, against the equations written out over numbers. */
import {
  bidirectional,
  compile,
  gru,
  gruCell,
  host,
  init,
  key,
  type Layer,
  lstm,
  lstmCell,
  mul,
  rnn,
  simpleRnn,
  spec,
  streaming,
  sum,
  type Tensor,
  tensor,
  toNested,
  type Tree,
  treeLeaves,
  valueAndGrad,
  type Variables,
} from "@cellfold/cellfold";
import { type LstmCellOptions } from "@cellfold/cellfold/internal";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { assertClose, random, run, shapesOf, variablesOf } from "../layers/helpers.ts";
import { assertClose as assertOracle, mayReadCases, oracleCases, tensorOf } from "../support/oracle.ts";

const noWebGpu = !await createWebGpu().available();

type Matrix = number[][];

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** One row's outputs and last state, gate by gate, unit by unit. */
function foldByHand(
  options: LstmCellOptions,
  params: Readonly<Record<string, Matrix | number[]>>,
  row: Matrix,
) {
  const { units, projection, inputForget = false, clip = Infinity } = options;
  const [kernel, recurrent] = [params.kernel, params.recurrentKernel] as Matrix[];
  const bias = (params.bias ?? new Array(4 * units).fill(0)) as number[];
  const peepholes = params.peepholes as number[] | undefined;
  const gates = inputForget ? ["i", "c", "o"] : ["i", "f", "c", "o"];
  const limit = (z: number) => Math.max(-(clip ?? Infinity), Math.min(clip ?? Infinity, z));
  let h = new Array(projection ?? units).fill(0);
  let c: number[] = new Array(units).fill(0);
  const outputs: Matrix = [];
  for (const x of row) {
    const next: number[] = [], output: number[] = [];
    for (let unit = 0; unit < units; unit++) {
      const z = (gate: string) => {
        const column = gates.indexOf(gate) * units + unit;
        return x.reduce((total, value, k) => total + value * kernel[k][column], bias[column]) +
          h.reduce((total, value, k) => total + value * recurrent[k][column], 0);
      };
      const peep = (gate: string) => peepholes?.[["i", "o", "f"].indexOf(gate) * units + unit] ?? 0;
      const i = sigmoid(limit(z("i") + peep("i") * c[unit]));
      const f = inputForget ? 1 - i : sigmoid(limit(z("f") + peep("f") * c[unit]));
      next[unit] = f * c[unit] + i * Math.tanh(limit(z("c")));
      output[unit] = sigmoid(limit(z("o") + peep("o") * next[unit])) * Math.tanh(next[unit]);
    }
    const projected = params.projectionKernel as Matrix | undefined;
    c = next;
    h = projected
      ? projected[0].map((_, j) => output.reduce((t, v, u) => t + v * projected[u][j], 0))
      : output;
    outputs.push(h);
  }
  return { outputs, h, c };
}

const variants: Readonly<Record<string, Omit<LstmCellOptions, "units">>> = {
  "none": {},
  "peepholes": { peepholes: true },
  "a projection": { projection: 3 },
  "a projection larger than the units": { projection: 6 },
  "coupled gates": { inputForget: true },
  "clipped gates": { clip: 0.3 },
  "peepholes of coupled gates": { peepholes: true, inputForget: true },
  "everything": { peepholes: true, projection: 2, inputForget: true, clip: 0.5, useBias: false },
};

for (const [name, options] of Object.entries(variants)) {
  const full = { ...options, units: 4 };
  const layer = lstm({ ...full, returnSequences: true, returnState: true });
  const x = mul(random(5, [2, 6, 3]), 2);
  const variables = variablesOf(layer, x);
  const expected = (toNested(x) as number[][][]).map((row) =>
    foldByHand(
      full,
      Object.fromEntries(
        Object.entries(variables.params as Record<string, Tensor>).map(([key, leaf]) => [
          key,
          toNested(leaf) as Matrix,
        ]),
      ),
      row,
    )
  );
  const whole = [
    tensor(expected.map(({ outputs }) => outputs)),
    tensor(expected.map(({ h }) => h)),
    tensor(expected.map(({ c }) => c)),
  ];

  Deno.test(`an LSTM with ${name} follows the equations`, () => {
    assertClose(treeLeaves<Tensor>(run(layer, variables, x)), whole, 2e-6);
  });

  // An adapter on the processor takes seconds to compile a variant, so only the one with all options runs there.
  for (const device of name === "everything" ? ["wasm", "webgpu"] as const : ["wasm"] as const) {
    Deno.test({
      name: `an LSTM with ${name} on ${device} follows the equations, and its gradient is the reference's`,
      ignore: device === "webgpu" && noWebGpu,
      sanitizeResources: false,
      sanitizeOps: false,
      async fn() {
        const forward = (params: Tree<Tensor>, x: Tensor) =>
          treeLeaves<Tensor>(run(layer, { params, state: [] }, x));
        const loss = (params: Tree<Tensor>, x: Tensor) =>
          forward(params, x).map((leaf) => sum(mul(leaf, leaf))).reduce((a, b) => mul(a, b));
        using compiled = compile(forward, { device });
        assertClose(await compiled(variables.params, x), whole, 2e-6);
        using gradient = compile(valueAndGrad(loss), { device });
        const [, onDevice] = await gradient(variables.params, x);
        const [, onReference] = valueAndGrad(loss)(variables.params, x);
        const largest = Math.max(
          ...treeLeaves<Tensor>(onReference).flatMap((leaf) => [...host(leaf).data].map(Math.abs)),
        );
        assertClose(onDevice, onReference, 1e-5 * largest);
      },
    });
  }
}

Deno.test("the options say what parameters and states there are", () => {
  const shapes = (options: Omit<LstmCellOptions, "units">) => {
    const cell = lstmCell({ units: 4, ...options });
    const params = cell.initParams(key(0), spec([2, 5]));
    return {
      params: Object.keys(params),
      shapes: shapesOf(params),
      state: shapesOf(cell.initState(params, spec([2, 5]))),
    };
  };
  assertEquals(shapes({}), {
    params: ["kernel", "recurrentKernel", "bias"],
    shapes: ["16", "5,16", "4,16"],
    state: ["2,4", "2,4"],
  });
  assertEquals(shapes({ peepholes: true, projection: 3 }), {
    params: ["kernel", "recurrentKernel", "bias", "peepholes", "projectionKernel"],
    shapes: ["16", "5,16", "12", "4,3", "3,16"],
    state: ["2,3", "2,4"],
  });
  assertEquals(shapes({ peepholes: true, inputForget: true }).shapes, ["12", "5,12", "8", "4,12"]);
});

Deno.test("weights drawn for an LSTM are the same with and without peepholes and projection", () => {
  const draw = (options: Omit<LstmCellOptions, "units">) =>
    lstmCell({ units: 4, ...options }).initParams(key(3), spec([null, 5])) as Record<string, Tensor>;
  const [plain, other] = [draw({}), draw({ peepholes: true, projection: 4 })];
  for (const name of ["kernel", "recurrentKernel", "bias"]) assertEquals(other[name], plain[name]);
  assert(
    new Set(toNested(other.projectionKernel).toString().split(",")).size > 10,
    "the projection is drawn",
  );
});

Deno.test("values of the options that mean nothing are refused", () => {
  assertThrows(
    () => lstmCell({ units: 4, projection: 0 }),
    RangeError,
    "projection is 0, expected a whole number",
  );
  assertThrows(() => lstmCell({ units: 4, clip: 0 }), RangeError, "clip is 0, expected a number above 0");
  assertThrows(() => gruCell({ units: 4, clip: -1 }), RangeError, "Cannot make gruCell: clip is -1");
  assertThrows(() => simpleRnn({ units: 4, clip: NaN }), RangeError, "clip is NaN");
  assertThrows(
    () => lstmCell({ units: 4, inputForget: true, unitForgetBias: true }),
    RangeError,
    "with inputForget there is no forget gate",
  );
});

Deno.test("a clip bounds what the activations of GRU and SimpleRNN are given", () => {
  const x = mul(random(5, [2, 4, 3]), 50);
  for (const make of [gru, simpleRnn]) {
    const layer = make({ units: 4, clip: 0.25, returnSequences: true });
    const output = run(layer, variablesOf(layer, x), x);
    const values = (toNested(treeLeaves<Tensor>(output)[0]) as number[][][]).flat(2);
    assert(values.every((value) => Math.abs(value) <= Math.tanh(0.25) + 1e-7), "the candidate is bounded");
    const free = make({ units: 4, returnSequences: true });
    const unbounded = (toNested(treeLeaves<Tensor>(run(free, variablesOf(free, x), x))[0]) as number[][][])
      .flat(2);
    assert(unbounded.some((value) => Math.abs(value) > 0.9), "without a clip it is not");
  }
});

Deno.test("a projected LSTM works in both directions, from a state, stateful and step by step", () => {
  const options = { units: 5, projection: 2, returnSequences: true } as const;
  const x = random(1, [2, 4, 3]);
  const both = bidirectional(lstm(options));
  assertEquals(shapesOf(run(both, variablesOf(both, x), x)), ["2,4,4"]);
  const layer = lstm(options);
  const variables = variablesOf(layer, x);
  const initialState = [random(2, [2, 2]), random(3, [2, 5])];
  const [first] = treeLeaves<Tensor>(run(layer, variables, x, { initialState }));
  assertThrows(
    () => run(layer, variables, x, { initialState: [random(2, [2, 5]), random(3, [2, 5])] }),
    TypeError,
    "expected float32[2, 2]",
  );
  assertEquals(shapesOf(first), ["2,4,2"]);
});

Deno.test({
  name: "a projected LSTM with peepholes streams as it folds",
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const layer: Layer = lstm({ units: 5, projection: 2, peepholes: true, returnSequences: true });
    const x = random(1, [1, 4, 3]);
    const variables: Variables = variablesOf(layer, x);
    using stream = streaming(layer, variables, { device: "reference" });
    const pushed = await stream.push(x);
    assertClose(pushed, run(layer, variables, x), 1e-6);
  },
});

/** ONNX's rows i, o, f, c of one direction as our columns i, f, c, o. */
function gatesOf(
  weights: { readonly shape: readonly number[]; readonly data: readonly number[] },
  names: string,
): Tensor {
  const rows = toNested(tensorOf({ ...weights, dtype: "float32" })) as number[][][];
  const blocks = Object.fromEntries(
    ["i", "o", "f", "c"].map((
      gate,
      index,
    ) => [gate, rows[0].slice(index * rows[0].length / 4, (index + 1) * rows[0].length / 4)]),
  );
  const ordered = [...names].flatMap((gate) => blocks[gate]);
  return tensor(ordered[0].map((_, column) => ordered.map((row) => row[column])));
}

for (
  const [name, options] of Object.entries(
    {
      lstm_peepholes_random: { peepholes: true },
      lstm_clip: { clip: 0.5 },
      lstm_input_forget: { inputForget: true },
    } satisfies Record<string, Omit<LstmCellOptions, "units">>,
  )
) {
  Deno.test({
    name: `onnxruntime agrees: ${name}`,
    ignore: !mayReadCases,
    async fn() {
      const { inputs: { X, W, R, B, P }, outputs } = (await oracleCases("onnx")).find((each) =>
        each.name === name
      )!; // listed
      const units = R.shape[2];
      const gates = "inputForget" in options ? "ico" : "ifco";
      const half = (index: number) => ({
        shape: [1, 4 * units, 1],
        data: B.data.slice(index * 4 * units, (index + 1) * 4 * units),
      });
      const bias = [0, 1].map((index) => (toNested(gatesOf(half(index), gates)) as number[][])[0]);
      const layer = rnn(lstmCell({ units, ...options }), { returnSequences: true, returnState: true });
      const params = {
        kernel: gatesOf(W, gates),
        recurrentKernel: gatesOf(R, gates),
        bias: tensor(bias[0].map((value, index) => value + bias[1][index])),
        ...(P ? { peepholes: tensor(P.data) } : {}),
      };
      const steps = toNested(tensorOf(X)) as number[][][];
      const x = tensor(steps[0].map((_, row) => steps.map((step) => step[row])));
      const [sequence, h, c] = treeLeaves<Tensor>(run(layer, { params, state: [] }, x)).map(toNested) as [
        number[][][],
        number[][],
        number[][],
      ];
      const timeMajor = sequence[0].map((_, step) => [sequence.map((row) => row[step])]);
      assertOracle(tensor(timeMajor), outputs.Y, 1e-5, "Y");
      assertOracle(tensor([h]), outputs.Y_h, 1e-5, "Y_h");
      assertOracle(tensor([c]), outputs.Y_c, 1e-5, "Y_c");
    },
  });
}

Deno.test("the defaults are the LSTM without any option", () => {
  const layer = lstm({ units: 3 });
  const again = lstm({ units: 3, peepholes: false, projection: null, inputForget: false, clip: null });
  const x = spec([null, null, 2]);
  assertEquals(init(again, key(0), x), init(layer, key(0), x));
  assertEquals(again.options, layer.options);
});
