/**
 * The recurrent layer: a cell folded over the time axis of its input. `lstm`, `gru` and the others are this
 * layer with their cell; nothing here depends on which cell it is.
 */
import { checkCount } from "../describe.ts";
import { printShapes } from "../cells/define.ts";
import type { AnyCell, RecurrentCell } from "../cells/cell.ts";
import { checkOptions } from "../option_names.ts";
import { stepSpec, timeAxis } from "../program/types.ts";
import { stopGradient } from "../operations/elementwise.ts";
import { at } from "../operations/structure.ts";
import { scanOn } from "../scan.ts";
import { zerosOfOutput } from "../scan/masking.ts";
import { checkTensor, isTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { sameShape, type Shape } from "../tensor/dims.ts";
import { checkSameStructure, flattenTree, mapTree, printPath, type Tree, zipTrees } from "../tree/tree.ts";
import { cellJson } from "../cells/json.ts";
import { changed, defineLayer, layerName } from "./define.ts";
import type { JsonOptions } from "../options/json.ts";
import { checkCell } from "../cells/checks.ts";
import { flagNames, type RecurrentFlags, rnnOptionNames, type RnnOptions } from "./recurrent_options.ts";
import type { Applied, ApplyContext, Layer, Mask, Variables } from "./layer.ts";
import { harmlessInput } from "./masks.ts";
import { commonMask, endedMask, reducedMask, reversedSequence } from "./sequence.ts";
import { type CarryState, isCarryState } from "./stateful.ts";

/**
 * A layer around a cell. It gives the cell's output, or `[output, state]` with `returnState`.
 *
 * @typeParam Output What the cell gives: of one step or of all, the structure is the same.
 * @typeParam State The cell's state.
 * @typeParam ReturnState Whether the state is a part of the output.
 */
export interface RecurrentLayer<
  Output = Tree<Tensor>,
  State = Tree<Tensor>,
  ReturnState extends boolean = boolean,
> extends Layer<ReturnState extends true ? readonly [output: Output, state: State] : Output> {
  /** The cell. */
  readonly cell: RecurrentCell;
  /** What the layer does with it. */
  readonly flags: Required<RecurrentFlags<ReturnState>>;
  /** The same layer with some of its flags changed; params keep their structure. */
  withFlags<Changed extends boolean = ReturnState>(
    changes: RecurrentFlags<Changed>,
  ): RecurrentLayer<Output, State, Changed>;
}

/** Whether a layer is one around a cell. */
export function isRecurrentLayer(layer: Layer): layer is RecurrentLayer {
  return typeof layer === "object" && layer !== null && "withFlags" in layer && "cell" in layer;
}

/**
 * The layer that folds a cell over sequences `[batch, time, ...]` (or a tree of such).
 *
 * Output: that of the last step, or of all steps with `returnSequences`; with `returnState`,
 * `[output, state]`. Params are the cell's; the layer's state is `[]`, or `{ carry }` if it is stateful.
 * `context.initialState`, a tree like the cell's state, is the state before the first step. Where
 * `context.mask` is false the state does not change; the step outputs what the previous one did (zeros before
 * the first), or zeros with `zeroOutputForMask`. Where `context.resets` is true a new sequence begins, as if it
 * were given by itself: the step starts from the cell's own first state, and so does, backwards, the last step
 * before it. The mask is passed on with the sequence, in the order of its
 * steps: backwards with `goBackwards`.
 *
 * @param cell A built-in cell, or any object with the members of {@linkcode RecurrentCell}.
 * @returns A layer whose `apply` throws a TypeError for an input or initial state of the wrong structure,
 *   shape or dtype, and a RangeError for a batch that differs from the stateful one or if the last step of an
 *   empty sequence is asked for.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, lstmCell, rnn, spec, zeros } from "@cellfold/cellfold";
 * const layer = rnn(lstmCell({ units: 4 }), { returnSequences: true });
 * const params = layer.initParams(key(0), spec([null, null, 3]));
 * const { output } = layer.apply({ params, state: [] }, zeros([2, 5, 3]), { training: false });
 * assertEquals(output.shape, [2, 5, 4]);
 * ```
 */
export function rnn<Output, State, const ReturnState extends boolean = false>(
  // deno-lint-ignore no-explicit-any -- the layer's type does not show the cell's params and input
  cell: RecurrentCell<any, State, any, Output>,
  options?: RnnOptions<ReturnState>,
): RecurrentLayer<
  unknown extends Output ? Tree<Tensor> : Output, // of AnyCell
  unknown extends State ? Tree<Tensor> : State,
  ReturnState
>;
export function rnn(cell: AnyCell, options: RnnOptions = {}): RecurrentLayer {
  checkOptions("rnn", options, rnnOptionNames);
  checkCell("make rnn", cell);
  return recurrentLayer({ type: "rnn", cell, cellOptions: { cell: cellJson(cell) }, options });
}

/** The definition of a recurrent layer. */
export interface RecurrentDefinition<Output, State, ReturnState extends boolean> {
  readonly type: string;
  // deno-lint-ignore no-explicit-any -- the layer's type does not show the cell's params and input
  readonly cell: RecurrentCell<any, State, any, Output>;
  /** The options of the cell, as the layer saves them beside its flags. */
  readonly cellOptions: JsonOptions;
  readonly options: RnnOptions<ReturnState>;
  /** The batch size that the cell takes, if it is fixed. */
  readonly batch?: number;
  /** Which params are trained; default: all. */
  readonly trainableLeaves?: (params: Tree<Tensor>) => boolean[];
  /** Whether chunks give the same results as the whole sequence even if a chunk starts with masked steps. */
  readonly streams?: boolean;
}

/** The recurrent layer of a definition, whose options have been checked. */
export function recurrentLayer<Output, State, ReturnState extends boolean>(
  definition: RecurrentDefinition<Output, State, ReturnState>,
): RecurrentLayer<Output, State, ReturnState>;
export function recurrentLayer(
  definition: RecurrentDefinition<Tree<Tensor>, Tree<Tensor>, boolean>,
): RecurrentLayer {
  const { type, cellOptions, options } = definition;
  const cell: RecurrentCell = definition.cell;
  const flags: Required<RecurrentFlags> = {
    returnSequences: options.returnSequences ?? false,
    returnState: options.returnState ?? false,
    goBackwards: options.goBackwards ?? false,
    stateful: options.stateful ?? false,
    unroll: options.unroll ?? false,
    zeroOutputForMask: options.zeroOutputForMask ?? false,
    checkpointEvery: options.checkpointEvery ?? null,
  };
  const name = layerName({ type, name: options.name });
  if (flags.checkpointEvery !== null) checkCount(`make ${name}`, flags.checkpointEvery, "checkpointEvery");
  const withFlags = (changes: RecurrentFlags) =>
    recurrentLayer({ ...definition, options: { ...options, ...changes } });
  const layer: RecurrentLayer = defineLayer<Omit<RecurrentLayer, keyof Layer>>({
    type,
    cell,
    flags,
    withFlags<Changed extends boolean>(this: RecurrentLayer, changes: RecurrentFlags<Changed>) {
      checkOptions(`withFlags of ${name}`, changes, flagNames);
      const other = changed(this, layer, withFlags(changes));
      return other as RecurrentLayer<Tree<Tensor>, Tree<Tensor>, Changed>; // it has the flags of changes
    },
    named: (name) => recurrentLayer({ ...definition, options: { ...options, name } }),
    name: options.name,
    trainable: options.trainable,
    activityRegularizer: options.activityRegularizer,
    options: { ...cellOptions, ...flags },
    ...(definition.batch === undefined ? {} : { batch: definition.batch }),
    ...(cell.penalty && { penalty: (params) => cell.penalty?.(params) }),
    ...(cell.constrain && { constrain: (params) => cell.constrain?.(params) ?? params }),
    ...(definition.trainableLeaves && { trainableLeaves: definition.trainableLeaves }),
    initParams: (key, input) => cell.initParams(key, stepsOf(name, cell, input)),
    initState: (params, input, mask): Tree<Tensor> => {
      if (!flags.stateful) return [];
      checkFixedBatch(name, input);
      const steps = stepsOf(name, cell, input, params);
      const carry = cell.initState(params, steps);
      const showsZeros = flags.zeroOutputForMask;
      if (!definition.streams || mask === undefined || showsZeros) return { carry };
      const step = cell.step(params, { training: false, input: steps });
      return { carry, output: zerosOfOutput(step, carry, input as Tree<Tensor>) }; // only the specs are read
    },
    apply: (variables, input, context) => apply({ name, cell, flags }, variables, input, context),
    masksInput: true, // the scan does
    takesResets: true,
    withStateful: () => {
      const stateful: RnnOptions = { ...options, stateful: true };
      if (!flags.goBackwards) return recurrentLayer({ ...definition, options: stateful, streams: true });
      throw new TypeError(
        `Cannot feed ${name} in chunks: it goes backwards, so its first step is the end of the sequence`,
      );
    },
  });
  return layer;
}

interface Recurrence {
  readonly name: string;
  readonly cell: RecurrentCell;
  readonly flags: Required<RecurrentFlags>;
}

function apply(
  { name, cell, flags }: Recurrence,
  { params, state }: Variables,
  input: Tree<Tensor>,
  context: ApplyContext,
): Applied {
  const steps = stepsOf(name, cell, input, params);
  const expected = cell.initState(params, steps);
  const given = context.initialState;
  if (given !== undefined) checkInitialState(name, expected, given);
  const initial = given ?? (flags.stateful ? carried(name, expected, state) : expected);
  const { mask, counted, harmless } = countedSteps(name, input, context.mask);
  const step = cell.step(params, { training: context.training, key: context.key, input: steps });
  const { shape: [batch, time] } = flattenTree<Spec>(input).leaves[0];
  checkResets(name, context.resets, [batch, time]);
  const before = {
    state: initial,
    output: flags.stateful ? (state as Partial<CarryState>).output : undefined,
  };
  const [outputs, { state: final, output: last }] = scanOn(step, before, harmless, {
    reverse: flags.goBackwards,
    mask,
    ...(context.resets && { resets: context.resets, resetState: expected }),
    maskedOutput: flags.zeroOutputForMask ? "zero" : "previous",
    checkpointEvery: typeof time === "number" ? flags.checkpointEvery ?? undefined : undefined,
  });
  const { output, mask: outputMask } = !flags.returnSequences
    ? { output: lastOf(name, outputs, flags.goBackwards), mask: endedMask(counted, context) }
    : flags.goBackwards // in the order in which they were computed
    ? reversedSequence({ output: outputs, mask: counted })
    : { output: outputs, mask: counted };
  return {
    output: flags.returnState ? [output, final] : output,
    state: carryState(flags, before.output, final, last),
    mask: outputMask && flags.returnState ? [outputMask, undefined] : outputMask,
  };
}

/** The state after a call, with the structure of the previous one. */
function carryState(
  { stateful }: RecurrentFlags,
  output: Tree<Tensor> | undefined,
  carry: Tree<Tensor>,
  last: Tree<Tensor> | undefined,
): Tree<Tensor> {
  if (!stateful) return [];
  return output === undefined ? { carry } : { carry, output: last ?? output };
}

/** The specs of one step of the input, which must fit the cell. */
function stepsOf(name: string, cell: RecurrentCell, input: Tree<Spec>, params?: Tree<Tensor>): Tree<Spec> {
  const fail = (reason: string) =>
    new TypeError(`Cannot use ${name} with an input of shape ${printShapes(input)}: ${reason}`);
  const { leaves } = flattenTree<Spec>(input, "input");
  if (leaves.length === 0) throw fail("it has no tensors");
  if (leaves.some(({ shape }) => shape.length < 2)) throw fail("expected sequences [batch, time, ...]");
  const [batch, time] = leaves[0].shape;
  if (leaves.some(({ shape }) => shape[0] !== batch || shape[1] !== time)) {
    throw fail("all its tensors must have the same batch and time");
  }
  const steps = mapTree(input, (leaf: Spec) => stepSpec(leaf));
  const reason = cell.refuses?.(steps, params);
  if (reason === undefined) return steps;
  const isStep = cell.refuses?.(input, params) === undefined; // as from a layer that gives its last output
  throw fail(
    isStep
      ? `${reason}; a recurrent layer before it needs returnSequences: true, and a single sequence or feature needs ` +
        "an axis of its own, of size 1"
      : reason,
  );
}

function checkFixedBatch(name: string, input: Tree<Spec>): void {
  const [batch] = flattenTree<Spec>(input).leaves[0]?.shape ?? [];
  if (typeof batch === "number") return;
  throw new RangeError(
    `Cannot make the state of ${name} for an input of shape ${
      printShapes(input)
    }: it is stateful, so it needs ` +
      `a fixed batch size, as in spec([32, null, 28])`,
  );
}

function checkInitialState(name: string, expected: Tree<Spec>, given: Tree<Spec>): void {
  checkSameStructure(expected, given, {
    first: `the state of ${name}`,
    second: "the initial state that it is given",
  });
  zipTrees(expected, given, (wanted: Spec, found: Spec, path) => {
    if (wanted.dtype === found.dtype && sameShape(wanted.shape, found.shape)) return;
    throw new TypeError(
      `Cannot use ${name} with the initial state ${printSpec(found)} at ${
        printPath(path, "initialState")
      }: ` +
        `expected ${printSpec(wanted)}`,
    );
  });
}

function checkResets(name: string, resets: Tensor | undefined, [batch, time]: Shape): void {
  if (resets === undefined) return;
  checkTensor(name, resets, "the resets");
  if (resets.dtype === "bool" && sameShape(resets.shape, [batch, time])) return;
  throw new TypeError(
    `Cannot use ${name} with the resets ${printSpec(resets)}: expected bool[${batch}, ${time}]`,
  );
}

/** The initial state of a stateful layer: no gradient flows from one call to the previous one. */
function carried(name: string, expected: Tree<Spec>, state: Tree<Tensor>): Tree<Tensor> {
  if (!isCarryState(state)) {
    throw new TypeError(
      `Cannot use ${name}: it is stateful, but its state has no carry; make one with initState or resetStates`,
    );
  }
  const { carry } = state;
  checkSameStructure(expected, carry, {
    first: `the state of ${name}`,
    second: "the carry that it is given",
  });
  return zipTrees(carry, expected, (found: Tensor, wanted: Spec, path) => {
    if (!sameShape(found.shape.slice(1), wanted.shape.slice(1)) || found.dtype !== wanted.dtype) {
      throw new TypeError(
        `Cannot use ${name} with the carry ${printSpec(found)} at ${printPath(path, "carry")}: ` +
          `expected ${printSpec(wanted)}`,
      );
    }
    if (found.shape[0] !== wanted.shape[0]) {
      throw new RangeError(
        `Cannot use ${name} with a batch of ${wanted.shape[0]}: it is stateful for a batch of ${
          found.shape[0]
        }; ` +
          `give batches of that size, open the stream with the option batch, or begin anew with resetStates`,
      );
    }
    return stopGradient(found);
  });
}

interface CountedSteps {
  /** The mask given to the scan, bool `[batch, time]`. */
  readonly mask: Tensor | undefined;
  /**
   * What is passed on with the sequence: `mask`, and the rows that count if rows are steps, bool `[batch]`.
   */
  readonly counted: Tensor | undefined;
  /** The input, with masked values replaced unless the scan itself masks them. */
  readonly harmless: Tree<Tensor>;
}

/** A step counts if it counts for every input, and if anything in it counts. */
function countedSteps(name: string, input: Tree<Tensor>, mask: Mask): CountedSteps {
  const masks = [...new Set(masksIn(mask))];
  const { shape: [batch, time] } = flattenTree<Spec>(input).leaves[0];
  for (const { dtype, shape } of masks) {
    const fits = dtype === "bool" && shape.length > 0 &&
      sameShape(shape.slice(0, 2), [batch, time].slice(0, shape.length));
    if (fits) continue;
    throw new TypeError(
      `Cannot use ${name} with the mask ${printSpec({ dtype, shape })}: expected bool[${batch}, ${time}]`,
    );
  }
  const ofSteps = commonMask(
    masks.filter(({ shape }) => shape.length > 1).map((mask) => reducedMask(mask, 2)),
  );
  const counted = commonMask([ofSteps, ...masks.filter(({ shape }) => shape.length === 1)]);
  const byScan = masks.every(({ shape }) => shape.length === 2);
  return { mask: ofSteps, counted, harmless: byScan ? input : harmlessInput(input, mask) };
}

function masksIn(mask: Mask): Tensor[] {
  if (mask === undefined) return [];
  if (isTensor(mask)) return [mask];
  return Object.values(mask).flatMap(masksIn);
}

/** The outputs of the step that was computed last. */
function lastOf(name: string, outputs: Tree<Tensor>, backwards: boolean): Tree<Tensor> {
  return mapTree(outputs, (x: Tensor) => {
    const axis = timeAxis(x.shape.length);
    if (x.shape[axis] === 0) {
      throw new RangeError(
        `Cannot use ${name} with a sequence of length 0: it has no last output; give steps, or returnSequences: true`,
      );
    }
    return at(x, backwards ? 0 : -1, { axis });
  });
}
