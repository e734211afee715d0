/**
 * A container: layers and the walk through them. `sequential` and `model` differ only in the walk; params,
 * state, keys, masks, freezing and errors are the same for both and live here. A container is itself a layer.
 */
import { wrongKind } from "../describe.ts";
import {
  applyLayer,
  defineLayer,
  layerJson,
  layerName,
  type LayerOptions,
  trainedLeaves,
} from "../layers/define.ts";
import type { JsonOptions } from "../options/json.ts";
import { sumOf } from "../options/weight_rules.ts";
import type { Layer, Mask } from "../layers/layer.ts";
import { constrained, weightPenalty } from "../layers/penalties.ts";
import { statefulLayer } from "../layers/stateful.ts";
import { foldIn, splitKey } from "../operations/random.ts";
import { inPlace } from "../program/trace.ts";
import { type HostTensor, type Spec, type Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import {
  type CallExtras,
  type CallResult,
  callSpecs,
  functionSpecs,
  type MaskedFunction,
} from "./call_specs.ts";

/** The place of a step in its graph: irrelevant to the computation, used only by the summary. */
export interface Link {
  /** The object that represents this step. */
  readonly source: object;
  /** The steps it reads, and which of their tensors. */
  readonly from: readonly { readonly source: object; readonly index: number }[];
}

/** What a walk does at its steps; specs stand for tensors if only shapes are needed. */
export interface Steps {
  /** Called for each input that has a name. */
  input?(name: string, value: Spec, link: Link): void;
  /** Calls the layer with this index. */
  call(index: number, input: Tree<Tensor>, extras: CallExtras, link?: Link): CallResult;
  /** Applies a function of tensors, each with its mask. */
  compute(
    step: MaskedFunction,
    args: readonly Tensor[],
    masks: readonly (Tensor | undefined)[],
    link: Link,
  ): CallResult;
}

/** Walks through the layers of a container from its input to its output. */
export type LayerWalk = (input: Tree<Tensor>, mask: Mask, steps: Steps) => CallResult;

/** A layer composed of layers. */
export interface Container extends Layer {
  readonly layers: readonly Layer[];
  /** A name for each layer, unique within this container: its own, or its type with a number. */
  readonly layerNames: readonly string[];
  readonly walk: LayerWalk;
}

/** What a container is made from. */
export interface ContainerDefinition {
  readonly type: string;
  readonly name?: string;
  readonly trainable?: boolean;
  readonly activityRegularizer?: LayerOptions["activityRegularizer"];
  readonly layers: readonly Layer[];
  /** The options besides the layers. */
  readonly options: JsonOptions;
  readonly walk: LayerWalk;
  /** Absent if no layer looks at the values of inputs, so that no call has to hand them on. */
  readonly checkInput?: (input: Tree<HostTensor>) => Tree<HostTensor> | void;
  readonly sequenceInputs?: readonly boolean[];
  readonly inputNames?: readonly (string | undefined)[];
  readonly batch?: number;
  readonly unbatched?: Layer["unbatched"];
  /** The same container with other layers. */
  readonly withLayers: (layers: readonly Layer[]) => Layer;
  /** The same container under another name. */
  readonly named: (name: string | undefined) => Layer;
}

/** Whether a layer is composed of layers that can be walked through. */
export function isContainer(layer: Layer): layer is Container {
  return "walk" in layer && typeof layer.walk === "function";
}

/** A name for each layer: its own, or its type, with a number if that is taken: `lstm`, `lstm_1`. */
function uniqueNames(container: string, layers: readonly Layer[]): string[] {
  const taken = new Set<string>();
  for (const { name } of layers) {
    if (name === undefined) continue;
    if (taken.has(name)) {
      throw new RangeError(`Cannot make ${container}: two of its layers are named ${JSON.stringify(name)}`);
    }
    taken.add(name);
  }
  const numbers = new Map<string, number>(); // the next number to try per type
  return layers.map(({ name, type }) => {
    if (name !== undefined) return name;
    let number = numbers.get(type) ?? 0;
    const nameAt = () => number === 0 ? type : `${type}_${number}`;
    while (taken.has(nameAt())) number++;
    const free = nameAt();
    numbers.set(type, number + 1);
    taken.add(free);
    return free;
  });
}

/** Runs `run`; its errors and its trace name the layer. */
function within<T>(place: string, run: () => T): T {
  try {
    return inPlace(place, run);
  } catch (error) {
    if (error instanceof Error) error.message += `, in ${place}`;
    throw error;
  }
}

/** Steps that only compute specs; `paramsOf` gives the params of a layer when it is called. */
export function specSteps(
  container: Pick<Container, "layers" | "layerNames" | "type" | "name">,
  paramsOf: (index: number, input: Tree<Spec>, extras: CallExtras) => Tree<Tensor>,
): Steps {
  return {
    call: (index, input, extras) =>
      within(`${container.layerNames[index]} of ${layerName(container)}`, () => {
        const params = paramsOf(index, input, extras);
        return callSpecs(container.layers[index], params, input, extras);
      }),
    compute: functionSpecs,
  };
}

/** One entry per layer: an array of the right length. */
function parts(container: string, what: string, tree: Tree<Tensor>, count: number): readonly Tree<Tensor>[] {
  if (Array.isArray(tree) && tree.length === count) return tree;
  throw wrongKind(`use ${container}`, tree, `its ${what}`, `an array of ${count}`);
}

/**
 * The layer of a container. Params and state are arrays with one entry per layer. A container that is not
 * trainable freezes every layer in it.
 */
export function container(definition: ContainerDefinition): Container {
  const { type, name, trainable, layers, walk } = definition;
  const self = layerName({ type, name });
  const described = { type, name, layers, layerNames: uniqueNames(self, layers) };
  const specsOf = (tree: Tree<Spec>) => tree as Tree<Tensor>; // a walk for shapes
  const stateful = layers.some((layer) => layer.withStateful !== undefined);
  return defineLayer<Pick<Container, "layers" | "layerNames" | "walk">>({
    ...described,
    trainable,
    activityRegularizer: definition.activityRegularizer,
    walk,
    masksInput: true, // the layers inside do
    named: definition.named,
    options: {
      ...definition.options,
      get layers() {
        return layers.map(layerJson);
      },
    },
    initParams: (key, input) => {
      const keys = splitKey(key, layers.length);
      const params: Tree<Tensor>[] = [];
      const steps = specSteps(
        described,
        (index, spec) => params[index] ??= layers[index].initParams(keys[index], spec),
      );
      walk(specsOf(input), undefined, steps);
      return params;
    },
    initState: (params, input, mask) => {
      const ofLayer = parts(self, "params", params, layers.length);
      const state: Tree<Tensor>[] = [];
      const steps = specSteps(described, (index, spec, { mask }) => {
        state[index] ??= layers[index].initState(ofLayer[index], spec, mask);
        return ofLayer[index];
      });
      walk(specsOf(input), mask, steps);
      return state;
    },
    apply: (variables, input, context) => {
      const params = parts(self, "params", variables.params, layers.length);
      const state = [...parts(self, "state", variables.state, layers.length)];
      if (context.initialState !== undefined) {
        throw new TypeError(
          `Cannot give ${self} an initial state: give it to the layer inside that takes one`,
        );
      }
      const { training, key, frozen, rowsAreSteps } = context;
      let calls = 0;
      const penalties: (Tensor | undefined)[] = [];
      const { output, mask } = walk(input, context.mask, {
        call: (index, input, extras) => {
          const place = `${described.layerNames[index]} of ${self}`;
          const applied = within(place, () => {
            const variables = { params: params[index], state: state[index] };
            const own = key && foldIn(key, calls++);
            return applyLayer(layers[index], variables, input, {
              ...extras,
              training,
              frozen,
              rowsAreSteps,
              key: own,
            });
          });
          state[index] = applied.state;
          penalties.push(applied.penalty);
          return { output: applied.output, mask: applied.mask };
        },
        compute: ({ fn, call }, args, masks) =>
          inPlace(`${fn.name || "a function"} of ${self}`, () => call(args, masks, { rowsAreSteps })),
      });
      return { output, state, mask, penalty: sumOf(penalties) };
    },
    ...(layers.some(({ penalty }) => penalty) && {
      penalty: (params) =>
        sumOf(
          parts(self, "params", params, layers.length).map((part, index) =>
            weightPenalty(layers[index], part)
          ),
        ),
    }),
    ...(layers.some(({ constrain }) => constrain) && {
      constrain: (params) =>
        parts(self, "params", params, layers.length).map((part, index) => constrained(layers[index], part)),
    }),
    trainableLeaves: (params) =>
      parts(self, "params", params, layers.length).flatMap((part, index) =>
        trainedLeaves(layers[index], part)
      ),
    ...(definition.checkInput && { checkInput: definition.checkInput }),
    ...(definition.sequenceInputs && { sequenceInputs: definition.sequenceInputs }),
    ...(definition.inputNames && { inputNames: definition.inputNames }),
    ...(definition.batch !== undefined && { batch: definition.batch }),
    ...(layers.some(({ batchAsNumber }) => batchAsNumber) && { batchAsNumber: true }),
    ...(definition.unbatched && { unbatched: definition.unbatched }),
    ...(stateful ? { withStateful: () => definition.withLayers(layers.map(statefulLayer)) } : {}),
  });
}
