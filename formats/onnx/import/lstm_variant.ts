/**
 * The LSTM of ONNX's operator with an activation of the cell that differs from that of the candidate (h and g
 * in ONNX): the only variant that the library's cell does not cover.
 */
import { limiter } from "../../../src/cells/clip.ts";
import type { Activation } from "../../../src/operations/activations.ts";
import { add, mul } from "../../../src/operations/elementwise.ts";
import { matmul } from "../../../src/operations/matmul.ts";
import { split } from "../../../src/operations/structure.ts";
import type { LstmState } from "../../../src/cells/cell.ts";
import type { Cell } from "../../../src/scan.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { CellWeights } from "./recurrent_weights.ts";

/** The step of an LSTM. */
type LstmStep = Cell<LstmState, Tensor, Tensor>;

/** How the output gate is computed, and the activation of the cell. */
export interface CellActivationOptions {
  readonly clip: number | null;
  readonly inputForget: boolean;
  readonly gates: Activation;
  readonly cell: Activation;
}

/**
 * The step with another output, computed from the `c` of `lstmCell`:
 *
 *     o = gates(x·Wo + h·Uo + bo + po·c)
 *     h = o·cell(c)
 *
 * @param step The step of `lstmCell` with these weights and options.
 */
export function withCellActivation(
  step: LstmStep,
  { kernel, recurrentKernel, bias, peepholes }: CellWeights,
  { clip, inputForget, gates, cell }: CellActivationOptions,
): LstmStep {
  const limit = limiter("lstmCell", clip);
  const po = peepholes && split(peepholes, inputForget ? 2 : 3)[1];
  return (state, x) => {
    const [h] = state;
    const [, [, nextC]] = step(state, x);
    // Exactly as in lstmCell, so that the compiled step has every product and the gate only once.
    const z = add(add(matmul(x, kernel), bias ?? 0), matmul(h, recurrentKernel));
    const zo = split(z, inputForget ? 3 : 4)[inputForget ? 2 : 3];
    const o = gates(limit(po ? add(zo, mul(po, nextC)) : zo));
    const nextH = mul(o, cell(nextC));
    return [nextH, [nextH, nextC]];
  };
}
