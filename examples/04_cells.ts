/**
 * Layers and cells: a cell is one step, `rnn(cell)` folds it over a sequence. Built-in layers are no more than that, so
 * a cell of your own is their equal.
 */
import {
  add,
  fit,
  gruCell,
  init,
  key,
  lstm,
  lstmCell,
  matmul,
  mean,
  mul,
  predict,
  type RecurrentCell,
  rnn,
  sigmoid,
  spec,
  splitKey,
  stackedCells,
  sub,
  tanh,
  type Tensor,
  uniform,
  zeros,
} from "@cellfold/cellfold";
import { fixedSize } from "@cellfold/cellfold/internal";
import { claim, largestDifference, type Log, noise, parameterCount, shapeOf } from "./support/section.ts";

interface Params {
  readonly gate: Tensor;
  readonly kernel: Tensor;
  readonly recurrentKernel: Tensor;
}

/**
 * A cell with a single gate, `f = sigmoid(x·G)`, `h' = f·h + (1 - f)·tanh(x·W + h·U)`: an object with a few functions,
 * nothing to inherit and nothing to register.
 */
function singleGateCell(units: number): RecurrentCell<Params, Tensor, Tensor, Tensor> {
  return {
    type: "singleGateCell",
    options: { units },
    initParams(key, input) {
      const features = fixedSize(input, 1);
      const [first, second, third] = splitKey(key, 3);
      const range = { min: -0.5, max: 0.5 };
      return {
        gate: uniform(first, [features, units], range),
        kernel: uniform(second, [features, units], range),
        recurrentKernel: uniform(third, [units, units], range),
      };
    },
    initState: (_, input) => zeros([input.shape[0], units]),
    step({ gate, kernel, recurrentKernel }) {
      return (h, x) => {
        const f = sigmoid(matmul(x, gate));
        const candidate = tanh(add(matmul(x, kernel), matmul(h, recurrentKernel)));
        const next = add(mul(f, h), mul(sub(1, f), candidate));
        return [next, next];
      };
    },
  };
}

/** Runs the section. */
export async function main(log: Log = console.log): Promise<void> {
  const x = noise([4, 6, 3]);
  const layer = lstm({ units: 10 });
  const variables = init(layer, key(0), x);
  claim(
    log,
    largestDifference(
      await predict(layer, variables, x),
      await predict(rnn(lstmCell({ units: 10 })), variables, x),
    ) === 0,
    "lstm(...) and rnn(lstmCell(...)) are the same",
  );

  const tower = rnn(stackedCells([lstmCell({ units: 8 }), gruCell({ units: 5 })]));
  const output = await predict(tower, init(tower, key(0), x), x);
  claim(log, shapeOf(output) === "[4, 5]", "an LSTM with a GRU on top is one cell in one fold");

  log("a cell of one's own:");
  const own = rnn(singleGateCell(2));
  claim(
    log,
    parameterCount(own, spec([null, null, 3])) === 16,
    "singleGateCell(2) for 3 features has 16 parameters",
  );
  const many = noise([256, 6, 2], 2);
  const { history } = await fit(own, init(own, key(0), many), { x: many, y: mean(many, { axes: 1 }) }, {
    optimizer: "adam",
    loss: "mse",
    epochs: 5,
    report: "none",
  });
  const [before, after] = [history.loss[0], history.loss[4]];
  claim(log, after < before, `it trains: the loss falls from ${before.toFixed(4)} to ${after.toFixed(4)}`);
}

if (import.meta.main) await main();
