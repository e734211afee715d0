/**
 * Nested inputs: the state, the input and the output of a cell are trees, so a step may be a list of tensors, named
 * tensors, or any nesting of both. The cell is the guide's `NestedCell`, written from the public operations.
 */
import {
  add,
  concat,
  einsum,
  fit,
  init,
  key,
  type Layer,
  mapTree,
  matmul,
  mean,
  type RecurrentCell,
  reshape,
  rnn,
  type Spec,
  splitKey,
  tanh,
  type Tensor,
  type Tree,
  treeLeaves,
  uniform,
  zeros,
} from "@cellfold/cellfold";
import { fixedSize } from "@cellfold/cellfold/internal";
import { recordLoss } from "./support/loss_record.ts";
import { claim, type Log, noise } from "./support/section.ts";

const [UNIT_1, UNIT_2, UNIT_3] = [10, 20, 30];
const [I1, I2, I3] = [32, 64, 32];
const [BATCH, BATCHES, TIME] = [64, 10, 50];

/** Keras's initializer `uniform`. */
const RANGE = { min: -0.05, max: 0.05 };

interface NestedParams {
  readonly kernel1: Tensor;
  readonly kernel23: Tensor;
}
type NestedState = readonly [s1: Tensor, s23: Tensor];

/**
 * A cell of two inputs, `[batch, i1]` and `[batch, i2, i3]`, in whatever tree they come; two states that add up what
 * was seen; and two outputs, `[batch, unit1]` and `[batch, unit2, unit3]`.
 */
function nestedCell(
  unit1: number,
  unit2: number,
  unit3: number,
): RecurrentCell<NestedParams, NestedState, Tree<Tensor>, readonly [output1: Tensor, output23: Tensor]> {
  return {
    type: "nestedCell",
    options: { unit1, unit2, unit3 },
    initParams(key, input) {
      const [first, second] = treeLeaves<Spec>(input);
      const [key1, key2] = splitKey(key, 2);
      return {
        kernel1: uniform(key1, [fixedSize(first, 1), unit1], RANGE),
        kernel23: uniform(key2, [fixedSize(second, 1), fixedSize(second, 2), unit2, unit3], RANGE),
      };
    },
    initState(_, input) {
      const [{ shape: [batch] }] = treeLeaves<Spec>(input);
      return [zeros([batch, unit1]), zeros([batch, unit2, unit3])];
    },
    step({ kernel1, kernel23 }) {
      return ([s1, s23], input) => {
        const [x1, x23] = treeLeaves<Tensor>(input);
        const output1 = matmul(x1, kernel1);
        const output23 = einsum("bij,ijkl->bkl", x23, kernel23);
        return [[output1, output23], [add(s1, output1), add(s23, output23)]];
      };
    },
  };
}

interface MixingParams {
  readonly kernels: Tree<Tensor>;
  readonly recurrentKernel: Tensor;
}

/** A cell for any tree of inputs: a kernel for every tensor in it, `h' = tanh(Σ x·W + h·U)`. */
function mixingCell(units: number): RecurrentCell<MixingParams, Tensor, Tree<Tensor>, Tensor> {
  return {
    type: "mixingCell",
    options: { units },
    initParams(key, input) {
      const [forRecurrent, ...keys] = splitKey(key, 1 + treeLeaves(input).length);
      const kernel = ({ shape: [, ...sizes] }: Spec) => {
        const features = sizes.reduce<number>((size, dim) => size * Number(dim), 1);
        return uniform(keys.pop() ?? key, [features, units], { min: -0.2, max: 0.2 });
      };
      const kernels = mapTree(input, kernel);
      return { kernels, recurrentKernel: uniform(forRecurrent, [units, units], { min: -0.2, max: 0.2 }) };
    },
    initState: (_, input) => zeros([treeLeaves<Spec>(input)[0].shape[0], units]),
    step({ kernels, recurrentKernel }) {
      return (h, input) => {
        const flat = treeLeaves<Tensor>(input).map((x) => reshape(x, [x.shape[0], -1]));
        const kernel = concat(treeLeaves<Tensor>(kernels), { axis: 0 });
        const next = tanh(add(matmul(concat(flat, { axis: 1 }), kernel), matmul(h, recurrentKernel)));
        return [next, next];
      };
    },
  };
}

/** Trains with adam on the mean squared error, and claims that the loss falls. */
async function train(
  layer: Layer,
  data: { readonly x: Tree<Tensor>; readonly y: Tree<Tensor> },
  log: Log,
  epochs = 1,
): Promise<void> {
  const record = recordLoss(1);
  await fit(layer, init(layer, key(0), data.x), data, {
    optimizer: "adam",
    loss: "mse",
    batchSize: BATCH,
    epochs,
    callbacks: [record.callback],
    report: "none",
  });
  const [first, last] = [record.losses[0], record.losses[record.losses.length - 1]];
  claim(
    log,
    last < first,
    `the loss falls from ${first.toFixed(3)} to ${last.toFixed(3)} in ${record.losses.length} steps`,
  );
}

/** Runs the section. */
export async function main(log: Log = console.log): Promise<void> {
  const layer = rnn(nestedCell(UNIT_1, UNIT_2, UNIT_3));
  const samples = BATCH * BATCHES;
  const [i1, i2] = [noise([samples, TIME, I1], 1), noise([samples, TIME, I2, I3], 2)];
  const y = [noise([samples, UNIT_1], 3), noise([samples, UNIT_2, UNIT_3], 4)];

  log(`a list of two tensors, [batch, ${TIME}, ${I1}] and [batch, ${TIME}, ${I2}, ${I3}]:`);
  await train(layer, { x: [i1, i2], y }, log);

  log("the same two by name, {i_1, i_2}:");
  await train(layer, { x: { i_1: i1, i_2: i2 }, y }, log);

  const few = 2 * BATCH;
  log("frames of a film, {video: [8, 8, 3], audio: [16]}:");
  const film = { video: noise([few, 6, 8, 8, 3], 5), audio: noise([few, 6, 16], 6) };
  const loudness = reshape(mean(film.audio, { axes: [1, 2] }), [few, 1]);
  await train(rnn(mixingCell(1)), { x: film, y: loudness }, log, 10);

  log("handwriting, {location: [x, y], pressure}:");
  const pen = {
    location: [noise([few, 20, 1], 7), noise([few, 20, 1], 8)],
    pressure: noise([few, 20, 1], 9),
  };
  const force = mean(pen.pressure, { axes: 1 });
  await train(rnn(mixingCell(1)), { x: pen, y: force }, log, 10);
}

if (import.meta.main) await main();
