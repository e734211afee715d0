/**
 * The cells: for each, its class in Keras, its options, its weights and how it is made. A new Keras cell
 * needs to be added only here.
 */
import type { AnyCell } from "../../src/cells/cell.ts";
import { gruCell, type GruCellOptions } from "../../src/cells/gru.ts";
import { lstmCell, type LstmCellOptions } from "../../src/cells/lstm.ts";
import { simpleRnnCell, type SimpleRnnCellOptions } from "../../src/cells/simple_rnn.ts";
import type { Json, JsonOptions } from "../../src/options/json.ts";
import type { Shape } from "../../src/tensor/dims.ts";
import { type ClassRow, how } from "./class_row.ts";
import { count, last, param, type WeightRow } from "./weight_row.ts";

/** A cell of Keras. */
export interface CellRow extends ClassRow {
  /** Its weights in Keras's order. */
  readonly weights: (options: JsonOptions) => readonly WeightRow[];
  /** The cell with these options, which the factory checks; absent if Keras has it only inside a layer. */
  readonly make?: (options: JsonOptions) => AnyCell;
}

const rates = { dropout: "number", recurrent_dropout: "number" } as const;

const matrixOptions = {
  activation: "activation",
  use_bias: "flag",
  kernel_initializer: "initializer",
  recurrent_initializer: "initializer",
  bias_initializer: "initializer",
} as const;

const simple = { units: "count", ...matrixOptions, ...rates } as const;
const gated = { ...simple, recurrent_activation: "activation" } as const;
const gru = { ...gated, reset_after: "flag" } as const;
const lstm = { ...gated, unit_forget_bias: "flag" } as const;

const convolutionOptions = {
  filters: "count",
  kernel_size: "counts",
  strides: "counts",
  padding: "padding",
  dilation_rate: "counts",
  recurrent_activation: "activation",
  unit_forget_bias: "flag",
  ...matrixOptions,
  ...rates,
} as const;

/** Kernel, recurrent kernel and bias of a cell. */
function matrices(options: JsonOptions, gates: number, biasShape: Shape): WeightRow[] {
  const units = count(options, "units");
  return [
    param("kernel", (input) => [last(input), gates * units]),
    param("recurrentKernel", () => [units, gates * units]),
    ...(options.useBias ? [param("bias", () => biasShape)] : []),
  ];
}

function convolution(options: JsonOptions): WeightRow[] {
  const filters = count(options, "filters");
  const window = options.kernelSize as readonly number[]; // saved as a list
  return [
    param("kernel", (input) => [...window, last(input), 4 * filters]),
    param("recurrentKernel", () => [...window, filters, 4 * filters]),
    ...(options.useBias ? [param("bias", () => [4 * filters])] : []),
  ];
}

/** The cells that an `RNN` can contain. */
export const cellRows: readonly CellRow[] = [
  {
    className: "SimpleRNNCell",
    type: "simpleRnnCell",
    options: simple,
    without: how,
    weights: (options) => matrices(options, 1, [count(options, "units")]),
    make: (options) => simpleRnnCell(options as unknown as SimpleRnnCellOptions),
  },
  {
    className: "GRUCell",
    type: "gruCell",
    options: gru,
    without: how,
    weights: (options) => {
      const all = 3 * count(options, "units");
      return matrices(options, 3, options.resetAfter ? [2, all] : [all]);
    },
    make: (options) => gruCell(options as unknown as GruCellOptions),
  },
  {
    className: "LSTMCell",
    type: "lstmCell",
    options: lstm,
    without: how,
    weights: (options) => matrices(options, 4, [4 * count(options, "units")]),
    make: (options) => lstmCell(options as unknown as LstmCellOptions),
  },
  ...[1, 2, 3].map((axes): CellRow => ({
    className: "ConvLSTMCell",
    type: `convLstm${axes}dCell`,
    options: convolutionOptions,
    without: how,
    weights: convolution,
  })),
];

/** Stacked cells as one; it has no options itself. */
export const stackedRow: ClassRow = { className: "StackedRNNCells", type: "stackedCells", options: {} };

/** The possible classes of an `RNN`'s cell, for errors. */
export const cellClasses: readonly string[] = [
  ...cellRows.filter(({ make }) => make).map(({ className }) => className),
  stackedRow.className,
];

/** The row of our cell of this type, if Keras has such a cell. */
export function cellRow(type: Json): CellRow | undefined {
  return cellRows.find((row) => row.type === type);
}

/** The options in the row of our cell of this type. */
export function cellOptionKinds(type: string): ClassRow["options"] {
  const row = cellRow(type);
  if (!row) throw new Error(`Keras has no cell ${type}`);
  return row.options;
}

/** Keras's class for a cell of a layer. */
export function classOfCell(cell: { readonly type: string }, layer: string): string {
  if (cell.type === stackedRow.type) return stackedRow.className;
  return cellRow(cell.type)?.className ?? refuseCell(cell, layer);
}

/** Throws for a cell that Keras does not have. */
export function refuseCell({ type }: { readonly type: Json }, layer: string): never {
  throw new TypeError(
    `Cannot use Keras files with the cell ${
      String(type)
    } of ${layer}: Keras has no such cell, and code is not ` +
      `part of its files; its cells are ${cellClasses.join(", ")}`,
  );
}
