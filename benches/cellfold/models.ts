/** The models of the workloads, with the data they are trained on. */
import {
  accuracy,
  batchNormalization,
  bidirectional,
  type Data,
  dense,
  gru,
  type HostTensor,
  hostTensor,
  type Layer,
  layerNormLstm,
  lstm,
  masking,
  rnn,
  sequential,
  sgd,
  simpleRnn,
  sparseCategoricalCrossentropy,
} from "@cellfold/cellfold";
import { noise } from "../../examples/support/section.ts";
import type { ModelTask, NestedTask } from "../support/tasks.ts";
import { nestedCell, ownLstmCell } from "./cells.ts";

/** A model, without what is done with it. */
export type ModelShape = Omit<ModelTask, "kind">;

const CLASSES = 10;

/** The guide's model of a task. */
export function modelOf(task: ModelShape): Layer {
  const layers = [recurrentOf(task), batchNormalization(), dense({ units: CLASSES })];
  return sequential(task.variant === "mask-holes" ? [masking(), ...layers] : layers);
}

function recurrentOf({ cell, variant, units }: ModelShape): Layer {
  switch (variant) {
    case undefined:
    case "mask-holes":
      return cell === "lstm" ? lstm({ units }) : cell === "gru" ? gru({ units }) : simpleRnn({ units });
    case "own-cell":
      return rnn(ownLstmCell(units));
    case "elu":
      return lstm({ units, activation: "elu" });
    case "hard-sigmoid":
      return lstm({ units, recurrentActivation: "hardSigmoid" });
    case "recurrent-dropout":
      return lstm({ units, recurrentDropout: 0.2 });
    case "no-bias":
      return lstm({ units, useBias: false });
    case "unroll":
      return lstm({ units, unroll: true });
    case "bidirectional":
      return bidirectional(lstm({ units }));
    case "layer-norm":
      return layerNormLstm({ units });
  }
}

/** The training options of the guide's model. */
export function lossOf(_task: ModelShape) {
  return {
    loss: sparseCategoricalCrossentropy({ fromLogits: true }),
    optimizer: sgd({ learningRate: 0.01 }),
    metrics: [accuracy()],
  };
}

/** Batches of inputs and labels. */
export function dataFor(
  task: ModelShape,
  batches: number,
): { readonly x: HostTensor; readonly y: HostTensor } {
  const samples = task.batch * batches;
  const x = noise([samples, task.time, task.features], 1);
  if (task.variant === "mask-holes") punchHoles(x, task);
  const labels = noise([samples], 2).data.map((value) => Math.floor(CLASSES * value));
  return { x, y: hostTensor(Int32Array.from(labels), [samples]) };
}

/** Three steps in ten, anywhere in the sequence, are set to zero, which `masking` leaves out. */
function punchHoles(x: HostTensor, { features }: ModelShape): void {
  const steps = x.data.length / features;
  noise([steps], 3).data.forEach((value, step) => {
    if (value < 0.3) x.data.fill(0, step * features, (step + 1) * features);
  });
}

/** The guide's nested cell as a layer. */
export function nestedModel({ units, readsState }: NestedTask): Layer {
  return rnn(nestedCell(units), { returnState: readsState });
}

/** Batches of nested inputs and their targets. */
export function nestedDataFor({ batch, time, inputs, units, readsState }: NestedTask, batches: number): Data {
  const samples = batch * batches;
  const targets = (seed: number) => [
    noise([samples, units[0]], seed),
    noise([samples, units[1], units[2]], seed + 1),
  ];
  return {
    x: [noise([samples, time, inputs[0]], 1), noise([samples, time, inputs[1], inputs[2]], 2)],
    y: readsState ? [targets(3), targets(5)] : targets(3),
  };
}
