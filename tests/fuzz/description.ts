/**
 * The description of a model, its data and what is asked of it: plain data, from which the library's model, the
 * interpreter's and a printed program are made. It holds no weights and no numbers: `data.ts` draws them by seed.
 */
import type { Json } from "../../src/internal.ts";

/** Options of a layer, cell or loss as its factory takes them. */
export type Options = { readonly [name: string]: Json };

/** A cell: a built-in one, several on top of each other, or one of `own_cells.ts`. */
export interface CellDescription {
  readonly type: string;
  readonly options: Options;
  /** The cells of `stackedCells`. */
  readonly cells?: readonly CellDescription[];
}

/** A layer or a model: `type` is the name of its factory. */
export interface LayerDescription {
  readonly type: string;
  readonly options: Options;
  /** What `timeDistributed` and `bidirectional` are around. */
  readonly inner?: LayerDescription;
  /** The layer of the other direction, where it is not a copy. */
  readonly backward?: LayerDescription;
  /** The cell of `rnn`. */
  readonly cell?: CellDescription;
  /** The layers of `sequential` and `model`, each object once. */
  readonly layers?: readonly LayerDescription[];
  /** How the layers of `model` are connected. */
  readonly graph?: GraphDescription;
  /** Options that are put over the finished layer, as in `{ ...layer, trainable: false }`. */
  readonly spread?: Options;
}

/** What a step of a graph put out: `"3.1"` is the second leaf of step 3. */
export type Ref = string;

/** A tree of what steps put out. */
export type RefTree = Ref | readonly RefTree[] | { readonly [name: string]: RefTree };

/** A step of a graph; inputs come first, in the order of the leaves of the inputs. */
export type GraphStep =
  | {
    readonly op: "input";
    /** The batch of a stateful model; null for any. */
    readonly batch: number | null;
    /** As `input` takes it: null and names are open sizes. */
    readonly shape: readonly (number | null | string)[];
    readonly dtype: InputDescription["dtype"];
  }
  | {
    readonly op: "call";
    readonly layer: number;
    readonly inputs: RefTree;
    readonly initialState?: RefTree;
    readonly mask?: Ref;
  }
  | { readonly op: "apply"; readonly fn: string; readonly inputs: readonly Ref[] };

/** A graph between inputs and outputs. */
export interface GraphDescription {
  readonly inputs: RefTree;
  readonly outputs: RefTree;
  readonly steps: readonly GraphStep[];
}

/** What the steps of an input that do not count hold. */
export type Padding =
  /** Every step counts. */
  | { readonly kind: "none" }
  /** Token 0. */
  | { readonly kind: "token" }
  /** All features have this value, which a `masking` layer masks. */
  | { readonly kind: "value"; readonly value: number }
  /** False: the input is itself a mask. */
  | { readonly kind: "mask" }
  /** NaN and infinities, or ordinary numbers: a mask input of the same group says which steps count. */
  | { readonly kind: "wild" }
  | { readonly kind: "tame" };

/** One leaf of what a model is given. */
export interface InputDescription {
  readonly name: string;
  readonly dtype: "float32" | "int32" | "bool";
  /** The shape of a sample; its first `time` axes are steps. */
  readonly shape: readonly number[];
  readonly time: 0 | 1 | 2;
  readonly padding: Padding;
  /** Of how many axes steps may not count; 0 where all do. */
  readonly counted: 0 | 1 | 2;
  /** Inputs of one group have the same steps that count. */
  readonly group: number;
  /** Tokens are 0 to this, less 1. */
  readonly vocabulary?: number;
  /** What the values are multiplied by. */
  readonly scale?: number;
}

/** One leaf of what a model puts out, and what is asked of it. */
export interface HeadDescription {
  readonly loss: { readonly type: string; readonly options: Options };
  /** Names, or metrics with options. */
  readonly metrics: readonly (string | { readonly type: string; readonly options: Options })[];
  readonly weightedMetrics: readonly (string | { readonly type: string; readonly options: Options })[];
  readonly weight: number;
  /** Whether targets that do not count are NaN; only where the output's mask says which. */
  readonly wildTargets: boolean;
  readonly sampleWeight: "none" | "sample" | "step";
}

/** A tree of the outputs by their number in `heads`. */
export type Places = number | readonly Places[] | { readonly [name: string]: Places };

/** Everything that one run of the fuzzer is about. */
export interface Case {
  readonly seed: number;
  readonly model: LayerDescription;
  /** The leaves of the model's input, in the order of the tree's leaves. */
  readonly inputs: readonly InputDescription[];
  /** The tree of inputs: numbers are places in `inputs`. */
  readonly inputTree: Places;
  readonly samples: number;
  /** Where steps that do not count lie: at the end, anywhere, or nowhere. */
  readonly holes: "end" | "anywhere" | "none";
  readonly heads: readonly HeadDescription[];
  readonly outputTree: Places;
  /** Whether all that comes out depends on the steps that count alone, so that padding must change nothing. */
  readonly paddable: boolean;
  /** Whether a layer takes the number of steps as fixed. */
  readonly fixedTime: boolean;
  /** Per head whether its first axis is steps. */
  readonly timed: readonly boolean[];
  /** Whether training draws random numbers (dropout). */
  readonly draws: boolean;
  /** The batch of a stateful model; null where no layer is stateful. */
  readonly statefulBatch: number | null;
  /** The properties that are checked. */
  readonly properties: readonly string[];
}
