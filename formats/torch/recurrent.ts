/**
 * The conversions of recurrent layers: nn.LSTM, GRU and RNN with several layers, in one or both directions, and
 * nn.LSTMCell, GRUCell and RNNCell, which are called step by step.
 *
 * PyTorch's gates are i, f, g, o and r, z, n (torch.nn.LSTM and GRU, the equations of their documentation),
 * ours i, f, c, o and z, r, h; its GRU is ours with `resetAfter`. It has two biases, which are summed except
 * in a GRU.
 */
import { namedTensors } from "../../src/layers/checks.ts";
import type { Layer } from "../../src/layers/layer.ts";
import { isRecurrentLayer, type RecurrentLayer } from "../../src/layers/rnn.ts";
import { add } from "../../src/operations/elementwise.ts";
import { at, concat, split, stack } from "../../src/operations/structure.ts";
import { zerosLike } from "../../src/operations/creation.ts";
import type { JsonOptions } from "../../src/options/json.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { type Counterpart, type NamedTensors, noModule, transposed } from "./conversion.ts";

/** A cell as it is saved. */
interface SavedCell {
  readonly type: string;
  readonly options: JsonOptions;
}

/**
 * What a module computes: the options that a cell must have, and the conversion between its params and the
 * tensors.
 */
interface Module {
  readonly name: string;
  readonly required: JsonOptions;
  toTorch(params: CellParams): NamedTensors;
  fromTorch(tensors: CellTensors): Tree<Tensor>;
}

/** The params of all three cells. */
interface CellParams {
  readonly kernel: Tensor;
  readonly recurrentKernel: Tensor;
  readonly bias?: Tensor;
  readonly projectionKernel?: Tensor;
}

/** The tensors of one direction of one layer. */
interface CellTensors {
  readonly weight_ih: Tensor;
  readonly weight_hh: Tensor;
  readonly bias_ih?: Tensor;
  readonly bias_hh?: Tensor;
  readonly weight_hr?: Tensor;
}

/** LSTM and Elman's cell: the same order of gates, one bias that is the sum of PyTorch's two. */
const inOrder: Pick<Module, "toTorch" | "fromTorch"> = {
  toTorch: ({ kernel, recurrentKernel, bias, projectionKernel }) => ({
    weight_ih: transposed(kernel),
    weight_hh: transposed(recurrentKernel),
    ...(bias ? { bias_ih: bias, bias_hh: zerosLike(bias) } : {}),
    ...(projectionKernel ? { weight_hr: transposed(projectionKernel) } : {}),
  }),
  fromTorch: ({ weight_ih, weight_hh, bias_ih, bias_hh, weight_hr }) => ({
    kernel: transposed(weight_ih),
    recurrentKernel: transposed(weight_hh),
    ...(bias_ih && bias_hh ? { bias: add(bias_ih, bias_hh) } : {}),
    ...(weight_hr ? { projectionKernel: transposed(weight_hr) } : {}),
  }),
};

/** The gates z, r, h along the last axis as r, z, n, and back. */
function swapped(gates: Tensor): Tensor {
  const [first, second, third] = split(gates, 3);
  return concat([second, first, third]);
}

const modules: Readonly<Record<string, Module>> = {
  lstmCell: {
    name: "LSTM",
    required: {
      activation: "tanh",
      recurrentActivation: "sigmoid",
      peepholes: false,
      inputForget: false,
      clip: null,
    },
    ...inOrder,
  },
  gruCell: {
    name: "GRU",
    required: { activation: "tanh", recurrentActivation: "sigmoid", resetAfter: true, clip: null },
    toTorch: ({ kernel, recurrentKernel, bias }) => ({
      weight_ih: transposed(swapped(kernel)),
      weight_hh: transposed(swapped(recurrentKernel)),
      ...(bias ? { bias_ih: swapped(at(bias, 0)), bias_hh: swapped(at(bias, 1)) } : {}),
    }),
    fromTorch: ({ weight_ih, weight_hh, bias_ih, bias_hh }) => ({
      kernel: swapped(transposed(weight_ih)),
      recurrentKernel: swapped(transposed(weight_hh)),
      ...(bias_ih && bias_hh ? { bias: stack([swapped(bias_ih), swapped(bias_hh)]) } : {}),
    }),
  },
  simpleRnnCell: { name: "RNN", required: { clip: null }, ...inOrder },
};

/** The module for a cell, which must not use options that PyTorch lacks. */
function moduleOf(layer: Layer, { type, options }: SavedCell): Module {
  if (!Object.hasOwn(modules, type)) {
    throw noModule(layer, `there is no module for its ${type}, only for ${Object.keys(modules).join(", ")}`);
  }
  const module = modules[type];
  const check = (option: string, fits: boolean, expected: string) => {
    if (fits) return;
    const given = typeof options[option] === "object" ? "a function" : JSON.stringify(options[option]);
    throw noModule(layer, `its ${option} is ${given}, but nn.${module.name} has ${expected}`);
  };
  for (const [option, value] of Object.entries(module.required)) {
    check(option, options[option] === value, JSON.stringify(value));
  }
  const { activation, projection, units } = options;
  if (type === "simpleRnnCell") {
    check("activation", activation === "tanh" || activation === "relu", '"tanh" or "relu"');
  }
  if (typeof projection === "number") {
    check("projection", projection < Number(units), `less than its ${units} units`);
  }
  return module;
}

/** The params of a cell, checked against its options. */
function paramsOf(layer: Layer, { options }: SavedCell, params: Tree<Tensor>): CellParams {
  return namedTensors<CellParams>(layer.type, "params", params, [
    "kernel",
    "recurrentKernel",
    ...(options.useBias === true ? ["bias"] : []),
    ...(typeof options.projection === "number" ? ["projectionKernel"] : []),
  ]);
}

const tensorNames = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"] as const;

/** The cells of a layer in one direction, with the params of each. */
interface Direction {
  readonly suffix: "" | "_reverse";
  readonly cells: readonly SavedCell[];
  readonly partsOf: (params: Tree<Tensor>) => readonly Tree<Tensor>[];
  readonly whole: (parts: readonly Tree<Tensor>[]) => Tree<Tensor>;
}

function directionOf({ cell }: RecurrentLayer, suffix: Direction["suffix"]): Direction {
  if (cell.type !== "stackedCells") {
    return { suffix, cells: [cell], partsOf: (params) => [params], whole: ([params]) => params };
  }
  const cells = cell.options.cells as unknown as readonly SavedCell[]; // as stackedCells wrote them
  const partsOf = (params: Tree<Tensor>) => {
    if (Array.isArray(params) && params.length === cells.length) return params;
    throw new TypeError(`Cannot convert stackedCells: its params are no array of ${cells.length}`);
  };
  return { suffix, cells, partsOf, whole: (parts) => parts };
}

/** The name of a tensor of a layer of the module, such as `weight_ih_l0` for `weight_ih`. */
type Naming = (name: string, index: number) => string;

/** The names in nn.LSTM and the like: `weight_ih` is `weight_ih_l0_reverse` in the module. */
const inLayers = ({ suffix }: Direction): Naming => (name, index) => `${name}_l${index}${suffix}`;

/** Tensors of one layer and direction. */
function convertDirection(layer: Layer, { cells, partsOf, whole }: Direction, nameAt: Naming) {
  return {
    toTorch: (params: Tree<Tensor>, first: number): NamedTensors =>
      Object.fromEntries(
        partsOf(params).flatMap((part, index) =>
          Object.entries(moduleOf(layer, cells[index]).toTorch(paramsOf(layer, cells[index], part)))
            .map(([name, tensor]) => [nameAt(name, first + index), tensor])
        ),
      ),
    fromTorch: (tensors: NamedTensors, first: number): Tree<Tensor> =>
      whole(cells.map((cell, index) => {
        const own = tensorNames.flatMap((name) => {
          const tensor = tensors[nameAt(name, first + index)];
          return tensor ? [[name, tensor]] : [];
        });
        return moduleOf(layer, cell).fromTorch(Object.fromEntries(own));
      })),
  };
}

/** What must be equal in all layers of one module. */
function kindOf(layer: Layer, cell: SavedCell, bidirectional: boolean): string {
  const { units, projection, useBias, activation } = cell.options;
  const { name } = moduleOf(layer, cell);
  return `nn.${name} of ${units} units${
    typeof projection === "number" ? ` projected to ${projection}` : ""
  }` +
    `${name === "RNN" ? ` with ${activation}` : ""}, ${useBias ? "with" : "without"} bias, ` +
    `${bidirectional ? "in both directions" : "in one direction"}`;
}

function sameKind(layer: Layer, kinds: readonly string[]): string {
  const other = kinds.find((kind) => kind !== kinds[0]);
  if (other === undefined) return kinds[0];
  throw noModule(layer, `one module would have to be ${kinds[0]} and ${other}`);
}

function checkForward(layer: Layer, { flags }: RecurrentLayer): void {
  if (flags.goBackwards) {
    throw noModule(layer, "it goes backwards, which PyTorch only does beside a layer that goes forwards");
  }
}

function bidirectional(layer: Layer, forward: RecurrentLayer, backward: RecurrentLayer): Counterpart {
  checkForward(layer, forward);
  const directions = [directionOf(forward, ""), directionOf(backward, "_reverse")] as const;
  if (directions.some(({ cells }) => cells.length > 1)) {
    throw noModule(layer, "its cells are stacked; make a bidirectional layer of each");
  }
  const kinds = directions.flatMap(({ cells }) => cells.map((cell) => kindOf(layer, cell, true)));
  const [ahead, behind] = directions.map((direction) =>
    convertDirection(layer, direction, inLayers(direction))
  );
  return {
    kind: sameKind(layer, kinds),
    depth: 1,
    conversion: (first) => ({
      toTorch: ({ params }) => {
        const both = namedTrees(layer, params);
        return { ...ahead.toTorch(both.forward, first), ...behind.toTorch(both.backward, first) };
      },
      fromTorch: (tensors, { state }) => ({
        params: { forward: ahead.fromTorch(tensors, first), backward: behind.fromTorch(tensors, first) },
        state,
      }),
    }),
  };
}

function namedTrees(
  layer: Layer,
  params: Tree<Tensor>,
): Readonly<Record<"forward" | "backward", Tree<Tensor>>> {
  if ("forward" in params && "backward" in params) {
    return params as Readonly<Record<"forward" | "backward", Tree<Tensor>>>; // as just checked
  }
  throw noModule(layer, "its params are not { forward, backward }");
}

/** A layer whose cell is a module of its own, nn.LSTMCell, GRUCell or RNNCell. */
function cellModule(layer: Layer, direction: Direction): Counterpart {
  const [cell] = direction.cells;
  if (direction.cells.length > 1) throw noModule(layer, "its cells are stacked; make a layer of each");
  if (typeof cell.options.projection === "number") {
    throw noModule(layer, `its projection is ${cell.options.projection}, but nn.LSTMCell has none`);
  }
  const { toTorch, fromTorch } = convertDirection(layer, direction, (name) => name);
  return {
    depth: 1,
    conversion: () => ({
      toTorch: ({ params }) => toTorch(params, 0),
      fromTorch: (tensors, { state }) => ({ params: fromTorch(tensors, 0), state }),
    }),
  };
}

/**
 * A recurrent layer as PyTorch sees it; undefined for any other layer.
 *
 * @param asCell Whether its cell is the module.
 * @throws TypeError naming the option that PyTorch lacks.
 */
export function recurrentOf(layer: Layer, asCell: boolean): Counterpart | undefined {
  if (layer.type === "bidirectional") {
    const [forward, backward] = layer.layers ?? [];
    if (forward && backward && isRecurrentLayer(forward) && isRecurrentLayer(backward)) {
      if (asCell) throw noModule(layer, "a cell goes in one direction; make a layer of each");
      return bidirectional(layer, forward, backward);
    }
  }
  if (!isRecurrentLayer(layer)) {
    if (asCell) throw noModule(layer, "it is in cells, expected a recurrent layer");
    return undefined;
  }
  checkForward(layer, layer);
  const direction = directionOf(layer, "");
  const kind = sameKind(layer, direction.cells.map((cell) => kindOf(layer, cell, false)));
  if (asCell) return cellModule(layer, direction);
  const { toTorch, fromTorch } = convertDirection(layer, direction, inLayers(direction));
  return {
    kind,
    depth: direction.cells.length,
    conversion: (first) => ({
      toTorch: ({ params }) => toTorch(params, first),
      fromTorch: (tensors, { state }) => ({ params: fromTorch(tensors, first), state }),
    }),
  };
}
