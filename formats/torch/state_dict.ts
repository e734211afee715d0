/**
 * Variables from a PyTorch state dict and back; the conversion of each layer is in plain.ts and recurrent.ts.
 */
import { checkList, checkObject, checkText } from "../../src/describe.ts";
import { checkLayer, checkVariables } from "../../src/layers/checks.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { checkOptions } from "../../src/option_names.ts";
import { cast } from "../../src/operations/elementwise.ts";
import { isFloat } from "../../src/operations/infer.ts";
import type { Spec, Tensor } from "../../src/tensor/tensor.ts";
import { outputSpecs } from "../../src/program/functions.ts";
import { quoted } from "../../src/quoted.ts";
import { differences } from "../support/differences.ts";
import { COUNTER, type NamedTensors } from "./conversion.ts";
import { changeVariables, type ModuleNames, type ModulePlace, type Naming, placesOf } from "./modules.ts";

/** The tensors of a PyTorch module by name, as `module.state_dict()` returns them. */
export type StateDict = Readonly<Record<string, Tensor>>;

/** Options of {@linkcode fromTorch} and {@linkcode toTorch}. */
export interface TorchOptions {
  /**
   * The attributes in PyTorch for layers of a model, by their names there (joined by dots inside nested
   * models); default: the same names. Recurrent layers that are given the same name are the layers 0, 1, … of
   * one module.
   */
  readonly modules?: ModuleNames;
  /**
   * The name of the model itself in a larger one, such as `encoder`: other names are ignored. Default: none.
   */
  readonly prefix?: string;
  /**
   * The layers, by their names as in `modules`, whose modules are cells that PyTorch calls step by step:
   * nn.LSTMCell, GRUCell or RNNCell, whose tensors are named `weight_ih`, not `weight_ih_l0`. A layer that is not
   * in a model has the name `""`. Default: none.
   */
  readonly cells?: readonly string[];
}

/** Options of {@linkcode fromTorch}. */
export interface FromTorchOptions extends TorchOptions {
  /**
   * Whether tensors that the model has no place for are an error (default); else they are left out, with a
   * warning on the console that lists them.
   */
  readonly strict?: boolean;
}

const optionNames = ["modules", "prefix", "cells"];

function resolve(what: string, { modules = {}, prefix = "", cells = [] }: TorchOptions): Naming {
  checkObject(what, modules, "modules", "an object of names by the names of layers");
  checkText(what, prefix, "prefix");
  checkList(what, cells, "cells", "an array of names of layers");
  return { modules, prefix: prefix.replace(/\.$/, ""), cells };
}

/** The tensors of each layer by their full names; none for a layer without a place. */
function collect(
  model: Layer,
  variables: Variables,
  places: readonly (ModulePlace | undefined)[],
): NamedTensors[] {
  const collected: NamedTensors[] = [];
  changeVariables(model, variables, (own, index) => {
    const { conversion, prefix } = places[index] ?? {};
    const tensors = Object.entries(conversion?.toTorch(own) ?? {});
    collected.push(Object.fromEntries(tensors.map(([name, tensor]) => [prefix + name, tensor])));
    return own;
  });
  return collected;
}

/**
 * The variables of a model as the state dict of its counterpart in PyTorch, to be saved with
 * `encodeSafetensors`.
 *
 * | here | there |
 * | --- | --- |
 * | `lstm`, `gru`, `simpleRnn`, `rnn` of their cells | nn.LSTM, GRU, RNN; `weight_ih_l0 [gates·units, features]`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, `weight_hr_l0` |
 * | `bidirectional` of them | the same with `bidirectional=True`; names end in `_reverse` |
 * | the same with `cells` | nn.LSTMCell, GRUCell, RNNCell; `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh` |
 * | `dense` | nn.Linear; `weight [out, in]`, `bias` |
 * | `embedding` | nn.Embedding; `weight` |
 * | `layerNormalization` | nn.LayerNorm; `weight`, `bias` |
 * | `batchNormalization` | nn.BatchNorm1d; `weight`, `bias`, `running_mean`, `running_var`, `num_batches_tracked` |
 *
 * Where PyTorch has two biases and we have one, `bias_ih` is ours and `bias_hh` is zero. Settings that are
 * not tensors must agree on both sides: epsilon (default 1e-3 here, 1e-5 in PyTorch) and momentum (here the
 * fraction that is kept, there the fraction that is new: `momentum: 0.9` is `momentum=0.1`; PyTorch's running
 * variance is the unbiased one). Modules are made with `batch_first=True`; a BatchNorm1d after a recurrent
 * layer takes `[batch, features, time]`.
 *
 * @param model A layer, whose tensors have no prefix, or a model, whose layers' names are the attributes in
 * PyTorch.
 * @throws TypeError for a layer or option without a PyTorch counterpart, naming both (peepholes, other
 *   activations, `resetAfter: false`, a layer that only runs backwards); RangeError for a name in `modules`
 *   that the model does not have, or layers that cannot form one module.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, lstm, sequential, spec } from "@cellfold/cellfold";
 * import { encodeSafetensors } from "@cellfold/cellfold/safetensors";
 * import { toTorch } from "@cellfold/cellfold/torch";
 * // class Model(nn.Module): self.rnn = nn.LSTM(3, 8, num_layers=2, batch_first=True); self.fc = nn.Linear(8, 2)
 * const model = sequential([
 *   lstm({ units: 8, returnSequences: true, name: "lower" }),
 *   lstm({ units: 8, name: "upper" }),
 *   dense({ units: 2, name: "fc" }),
 * ]);
 * const variables = init(model, key(0), spec([null, null, 3]));
 * const stateDict = toTorch(model, variables, { modules: { lower: "rnn", upper: "rnn" } });
 * assertEquals(stateDict["rnn.weight_ih_l1"].shape, [32, 8]);
 * assertEquals(stateDict["fc.weight"].shape, [2, 8]);
 * const file = encodeSafetensors(stateDict, { metadata: { format: "pt" } }); // for safetensors.torch.load_file
 * assertEquals(file.length % 8, 0);
 * ```
 */
export function toTorch(model: Layer, variables: Variables, options: TorchOptions = {}): StateDict {
  checkLayer("convert to PyTorch", model);
  checkVariables("convert to PyTorch", variables);
  checkOptions("toTorch", options, optionNames);
  const naming = resolve("convert to PyTorch", options);
  return Object.assign({}, ...collect(model, variables, placesOf(model, variables, naming)));
}

/**
 * The variables of a model from the state dict of its counterpart in PyTorch, as {@linkcode toTorch}
 * describes it; `decodeSafetensors(bytes).tensors` and `(await decodeTorchFile(bytes)).tensors` read files.
 *
 * Where PyTorch has two biases and we have one, ours is their sum. Floats are converted to the dtype of the
 * variables; `num_batches_tracked` may be present, but is not used. The conversion consists of operations
 * that can be traced and differentiated.
 *
 * @param variables The model's variables, as made by `init`; they determine the expected shapes. A stateful
 * layer keeps its state.
 * @param stateDict All tensors of the module, and no others except outside `prefix` or with `strict: false`.
 * @returns New variables; the given ones are not changed.
 * @throws TypeError with all names that are missing, unexpected, or of another shape or dtype; and the errors
 *   of {@linkcode toTorch}.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { init, key, lstm, ones, spec, toNested, treeLeaves, type Tensor } from "@cellfold/cellfold";
 * import { fromTorch } from "@cellfold/cellfold/torch";
 * const layer = lstm({ units: 1 });
 * const stateDict = { // of nn.LSTM(2, 1)
 *   weight_ih_l0: ones([4, 2]),
 *   weight_hh_l0: ones([4, 1]),
 *   bias_ih_l0: ones([4]),
 *   bias_hh_l0: ones([4]),
 * };
 * const { params } = fromTorch(layer, init(layer, key(0), spec([null, null, 2])), stateDict);
 * assertEquals(toNested(treeLeaves<Tensor>(params)[0]), [2, 2, 2, 2]); // one bias, the sum of both
 * ```
 */
export function fromTorch(
  model: Layer,
  variables: Variables,
  stateDict: StateDict,
  options: FromTorchOptions = {},
): Variables {
  checkLayer("convert from PyTorch", model);
  checkVariables("convert from PyTorch", variables);
  checkObject("convert from PyTorch", stateDict, "the state dict", "an object of tensors by name");
  checkOptions("fromTorch", options, [...optionNames, "strict"]);
  const naming = resolve("convert from PyTorch", options);
  const { prefix } = naming;
  const places = placesOf(model, variables, naming);
  const specs = outputSpecs<readonly Readonly<Record<string, Spec>>[]>(
    (variables: Variables) => collect(model, variables, places),
    { params: variables.params, state: variables.state },
  );
  const given = new Map(
    Object.entries(stateDict).filter(([name]) => prefix === "" || name.startsWith(`${prefix}.`)),
  );
  const expected = new Map(
    specs.flatMap((own) => Object.entries(own)).filter(([name]) => given.has(name) || !isCounter(name)),
  );
  if (options.strict === false) leaveOut(given, expected);
  const difference = differences(expected, given, {
    fits: (found, wanted) => found.dtype === wanted.dtype || (isFloat(found) && isFloat(wanted)),
  });
  if (difference !== undefined) {
    throw new TypeError(`Cannot load the PyTorch state dict: ${difference}${hintOf(expected, given)}`);
  }
  return changeVariables(model, variables, (own, index) => {
    const place = places[index];
    if (!place) return own;
    const tensors = Object.entries(specs[index]).flatMap(([name, { dtype }]): [string, Tensor][] => {
      const tensor = given.get(name);
      if (tensor === undefined || isCounter(name)) return [];
      return [[name.slice(place.prefix.length), tensor.dtype === dtype ? tensor : cast(tensor, dtype)]];
    });
    return place.conversion.fromTorch(Object.fromEntries(tensors), own);
  });
}

/** Removes what is not expected, and says so. */
function leaveOut(given: Map<string, Tensor>, expected: ReadonlyMap<string, Spec>): void {
  const unexpected = [...given.keys()].filter((name) => !expected.has(name));
  for (const name of unexpected) given.delete(name);
  if (unexpected.length > 0) {
    console.warn(`Cellfold: fromTorch left out ${unexpected.map(quoted).join(", ")}`);
  }
}

/** The remedy if the tensors of a cell are given in place of those of a module with layers. */
function hintOf(expected: ReadonlyMap<string, Spec>, given: ReadonlyMap<string, Tensor>): string {
  const isCell = [...expected.keys()].some((name) =>
    name.endsWith("weight_ih_l0") && !given.has(name) && given.has(name.replace(/_l0$/, ""))
  );
  return isCell ? "; if the module is an nn.LSTMCell, GRUCell or RNNCell, list its layer in cells" : "";
}

function isCounter(name: string): boolean {
  return name === COUNTER || name.endsWith(`.${COUNTER}`);
}
