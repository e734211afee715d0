/** Small graphs of the operators that fold: LSTM, GRU, RNN and Scan. */
import { tensor } from "@cellfold/cellfold";
import { graphOf, type GraphParts, node, signed, type Value } from "./graphs.ts";
import type { Named } from "./runtime.ts";

/** A graph to import. */
export interface OperatorCase extends GraphParts {
  readonly name: string;
}

type Attributes = { readonly [name: string]: Value };

/** A Scan that adds up and doubles, over axes and in directions that are asked for. */
function scan(attributes: Attributes, sequences: Named): OperatorCase {
  const names = Object.keys(sequences);
  const step = signed([2, 4]);
  return {
    name: `Scan ${JSON.stringify(attributes)}`,
    nodes: [node("Scan", ["state", ...names], ["last", "sums", "scaled"], {
      ...attributes,
      num_scan_inputs: names.length,
      body: {
        graph: graphOf({
          nodes: [
            node("Add", ["s", ...names.slice(0, 1).map((name) => `${name}_step`)], ["partial"]),
            names.length > 1
              ? node("Sub", ["partial", `${names[1]}_step`], ["next"])
              : node("Identity", ["partial"], ["next"]),
            node("Identity", ["next"], ["sum"]),
            node("Mul", ["next", "weight"], ["twice"]),
          ],
          inputs: { s: step, ...Object.fromEntries(names.map((name) => [`${name}_step`, step])) },
          outputs: { next: "float32", sum: "float32", twice: "float32" },
        }),
      },
    })],
    inputs: { state: signed([2, 4], 9), ...sequences },
    weights: { weight: signed([4], 8) },
    outputs: { last: "float32", sums: "float32", scaled: "float32" },
  };
}

/** Scans over axes and in directions. */
export const scanCases: readonly OperatorCase[] = [
  scan({}, { a: signed([3, 2, 4], 1) }),
  scan({ scan_input_axes: [1], scan_output_axes: [1, 2] }, { a: signed([2, 3, 4], 1) }),
  scan({ scan_input_directions: [1] }, { a: signed([3, 2, 4], 1) }),
  scan({ scan_input_axes: [0, 2], scan_input_directions: [0, 1], scan_output_directions: [1, 0] }, {
    a: signed([3, 2, 4], 1),
    b: signed([2, 4, 3], 2),
  }),
];

/** A recurrent node; every optional input is in `more`, by its place. */
export function recurrent(
  operator: "LSTM" | "GRU" | "RNN",
  attributes: Attributes,
  more: {
    readonly bias?: boolean;
    readonly lengths?: readonly number[];
    readonly states?: boolean;
    readonly peepholes?: boolean;
  } = {},
): OperatorCase {
  const [batch, time, features, units] = [3, 5, 2, 4];
  const directions = attributes.direction === "bidirectional" ? 2 : 1;
  const rows = { LSTM: 4, GRU: 3, RNN: 1 }[operator] * units;
  const { bias = true, lengths, states = false, peepholes = false } = more;
  const isLstm = operator === "LSTM";
  const lens = lengths && tensor([...lengths], { dtype: "int32" });
  const inputs: Named = {
    X: signed([time, batch, features], 1),
    ...(lens ? { lens } : {}),
    ...(states ? { h: signed([directions, batch, units], 5) } : {}),
    ...(states && isLstm ? { c: signed([directions, batch, units], 6) } : {}),
  };
  const all = [
    "X",
    "W",
    "R",
    bias ? "B" : "",
    lens ? "lens" : "",
    states ? "h" : "",
    ...(isLstm ? [states ? "c" : "", peepholes ? "P" : ""] : []),
  ];
  const outputs = ["Y", "Y_h", ...(isLstm ? ["Y_c"] : [])];
  return {
    name: `${operator} ${JSON.stringify({ ...attributes, ...more })}`,
    nodes: [node(operator, all, outputs, { hidden_size: units, ...attributes })],
    inputs,
    weights: {
      W: signed([directions, rows, features], 2),
      R: signed([directions, rows, units], 3),
      ...(bias ? { B: signed([directions, 2 * rows], 4) } : {}),
      ...(peepholes ? { P: signed([directions, 3 * units], 7) } : {}),
    },
    outputs: Object.fromEntries(outputs.map((name) => [name, "float32" as const])),
  };
}

/** Steps of the rows of a batch, one without any. */
export const lengths = [5, 0, 2];
const plain: OperatorCase[] = (["LSTM", "GRU", "RNN"] as const).flatMap((operator) =>
  (["forward", "reverse", "bidirectional"] as const).flatMap((direction) => [
    recurrent(operator, { direction }),
    recurrent(operator, { direction }, { bias: false, states: true }),
    recurrent(operator, { direction }, { lengths, states: true }),
    recurrent(operator, { direction }, { lengths }),
    recurrent(operator, { direction, clip: { float: 0.4 } }, { states: true }),
    recurrent(operator, { direction, clip: { float: Infinity } }),
    ...(operator === "GRU"
      ? [recurrent(operator, { direction, linear_before_reset: 1 }, { lengths, states: true })]
      : []),
    ...(operator === "LSTM"
      ? [
        recurrent(operator, { direction }, { peepholes: true, states: true, lengths }),
        recurrent(operator, { direction, clip: { float: 0.7 } }, { peepholes: true, states: true }),
        recurrent(operator, { direction, input_forget: 1 }, { states: true }),
        recurrent(operator, { direction, input_forget: 1, clip: { float: 0.4 } }, {
          peepholes: true,
          states: true,
        }),
      ]
      : []),
  ])
);
const activations: OperatorCase[] = [
  ...[
    "Relu",
    "Tanh",
    "Sigmoid",
    "LeakyRelu",
    "HardSigmoid",
    "Elu",
    "Softsign",
    "Softplus",
  ].map((name) => recurrent("RNN", { activations: [name] })),
  ...["Affine", "ScaledTanh"].map((name) =>
    recurrent("RNN", {
      activations: [name],
      activation_alpha: { floats: [0.8] },
      activation_beta: { floats: [0.6] },
    })
  ),
  recurrent("RNN", { activations: ["ThresholdedRelu"], activation_alpha: { floats: [0.3] } }),
  recurrent("RNN", {
    activations: ["HardSigmoid"],
    activation_alpha: { floats: [0.3] },
    activation_beta: { floats: [0.4] },
  }),
  recurrent("GRU", {
    activations: ["HardSigmoid", "Affine"],
    activation_alpha: { floats: [0.3, 1.5] },
    activation_beta: { floats: [0.4, 0.1] },
  }),
  recurrent("LSTM", { activations: ["Sigmoid", "Relu", "Softsign"] }),
  ...[0, 1].flatMap((input_forget) =>
    [false, true].map((peepholes) =>
      recurrent(
        "LSTM",
        { activations: ["Sigmoid", "Softsign", "Tanh"], clip: { float: 0.4 }, input_forget },
        {
          peepholes,
          states: true,
          lengths,
          bias: peepholes,
        },
      )
    )
  ),
  recurrent("LSTM", {
    activations: ["Sigmoid", "Affine", "Affine"],
    activation_alpha: { floats: [0.5, 0.5] },
    activation_beta: { floats: [0.1, 0.1] },
  }),
  recurrent("LSTM", {
    direction: "bidirectional",
    activations: ["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Elu", "LeakyRelu"],
    activation_alpha: { floats: [0.3, 0.5, 0.05] },
    activation_beta: { floats: [0.4] },
  }),
];

/** Recurrent nodes with all that they can have. */
export const recurrentCases: readonly OperatorCase[] = [...plain, ...activations];
