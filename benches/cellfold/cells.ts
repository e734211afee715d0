/** Cells as a user writes them: the LSTM gate by gate, and the guide's nested cell. */
import {
  add,
  einsum,
  matmul,
  mul,
  type RecurrentCell,
  sigmoid,
  type Spec,
  splitKey,
  tanh,
  type Tensor,
  type Tree,
  uniform,
  zeros,
} from "@cellfold/cellfold";
import { fixedSize } from "@cellfold/cellfold/internal";

/** The weights of one gate. */
interface Gate {
  /** `[features, units]`. */
  readonly kernel: Tensor;
  /** `[units, units]`. */
  readonly recurrent: Tensor;
  /** `[units]`. */
  readonly bias: Tensor;
}

interface Gates {
  readonly i: Gate;
  readonly f: Gate;
  readonly g: Gate;
  readonly o: Gate;
}

/** Small enough for stable training; the speed does not depend on it. */
const WEIGHTS = { min: -0.1, max: 0.1 };

/** The LSTM's equations with four separate gates, as in a textbook. */
export function ownLstmCell(units: number): RecurrentCell {
  return {
    type: "ownLstm",
    options: { units },
    initParams(key, input) {
      const features = fixedSize(input as Spec, 1); // one tensor
      const gate = (key: Tensor): Gate => {
        const [forKernel, forRecurrent] = splitKey(key, 2);
        return {
          kernel: uniform(forKernel, [features, units], WEIGHTS),
          recurrent: uniform(forRecurrent, [units, units], WEIGHTS),
          bias: zeros([units]),
        };
      };
      const [i, f, g, o] = splitKey(key, 4).map(gate);
      return { i, f, g, o } as unknown as Tree<Tensor>; // a tree by its structure
    },
    initState(_, input) {
      const zero = zeros([(input as Spec).shape[0], units]);
      return [zero, zero];
    },
    step(params) {
      const gates = params as unknown as Gates; // made by initParams
      return (state, input) => {
        const [h, c] = state as readonly Tensor[]; // made by initState
        const x = input as Tensor; // one tensor, as initParams takes it
        const gate = ({ kernel, recurrent, bias }: Gate) =>
          add(add(matmul(x, kernel), matmul(h, recurrent)), bias);
        const i = sigmoid(gate(gates.i));
        const f = sigmoid(gate(gates.f));
        const g = tanh(gate(gates.g));
        const o = sigmoid(gate(gates.o));
        const nextC = add(mul(f, c), mul(i, g));
        const nextH = mul(o, tanh(nextC));
        return [nextH, [nextH, nextC]];
      };
    },
  };
}

/** Keras's initializer `uniform`. */
const RANGE = { min: -0.05, max: 0.05 };

/** The cell of the guide's section on nested inputs: `[batch, i1]` and `[batch, i2, i3]` in, `units` out. */
export function nestedCell(units: readonly [number, number, number]): RecurrentCell {
  const [unit1, unit2, unit3] = units;
  return {
    type: "nestedCell",
    options: { units: [...units] },
    initParams(key, input) {
      const [first, second] = input as readonly Spec[]; // a pair
      const [key1, key2] = splitKey(key, 2);
      return [
        uniform(key1, [fixedSize(first, 1), unit1], RANGE),
        uniform(key2, [fixedSize(second, 1), fixedSize(second, 2), unit2, unit3], RANGE),
      ];
    },
    initState(_, input) {
      const [{ shape: [batch] }] = input as readonly Spec[]; // a pair
      return [zeros([batch, unit1]), zeros([batch, unit2, unit3])];
    },
    step(params) {
      const [kernel1, kernel23] = params as readonly Tensor[]; // made by initParams
      return (state, input) => {
        const [x1, x23] = input as readonly Tensor[]; // a pair, as initParams takes it
        const [s1, s23] = state as readonly Tensor[]; // made by initState
        const output1 = matmul(x1, kernel1);
        const output23 = einsum("bij,ijkl->bkl", x23, kernel23);
        return [[output1, output23], [add(s1, output1), add(s23, output23)]];
      };
    },
  };
}
