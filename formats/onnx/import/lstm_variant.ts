/**
 * The LSTM of ONNX's operator where it is more than the library's cell: peepholes (Gers and Schmidhuber, 2000), coupled
 * gates (`input_forget`), limited gates (`clip`), or another activation for the cell than for the candidate. Like any
 * cell it is a pure function, and compiled as every other is.
 */
import { add, clip, mul, type Operand, sub } from "../../../src/operations/elementwise.ts";
import { matmul } from "../../../src/operations/matmul.ts";
import { type Activation } from "../../../src/operations/activations.ts";
import { split } from "../../../src/operations/structure.ts";
import type { Cell } from "../../../src/scan/cell.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";

/** The weights, in the layout of the library's LSTM. */
export interface LstmVariantParams {
  /** `[features, 4·units]`, gates i, f, c, o. */
  readonly kernel: Tensor;
  /** `[units, 4·units]`. */
  readonly recurrentKernel: Tensor;
  /** `[4·units]`. */
  readonly bias?: Tensor;
  /** `[3·units]`, gates i, o, f as in ONNX. */
  readonly peepholes?: Tensor;
}

/** What the step does beside the plain one. */
export interface LstmVariantOptions {
  /** The activations of the gates, the candidate and the cell (ONNX's f, g and h). */
  readonly activations: readonly [gates: Activation, candidate: Activation, cell: Activation];
  /** What the first two are given is limited to `-clip…clip`. */
  readonly clip?: number;
  /** The forget gate is `1 - i`. */
  readonly inputForget: boolean;
}

/**
 * The step:
 *
 *     i = gates(x·Wi + h·Ui + bi + pi·c)
 *     f = gates(x·Wf + h·Uf + bf + pf·c), or 1 - i
 *     g = candidate(x·Wc + h·Uc + bc)
 *     c = f·c + i·g
 *     o = gates(x·Wo + h·Uo + bo + po·c)
 *     h = o·cell(c)
 */
export function lstmVariantStep(
  { kernel, recurrentKernel, bias, peepholes }: LstmVariantParams,
  { activations: [gates, candidate, cell], clip: bound, inputForget }: LstmVariantOptions,
): Cell<readonly [h: Tensor, c: Tensor], Tensor, Tensor> {
  const b: Operand = bias ?? 0;
  const [pi, po, pf] = peepholes ? split(peepholes, 3) : [];
  const limit = (z: Tensor) => bound === undefined ? z : clip(z, -bound, bound);
  const gate = (z: Tensor, p: Tensor | undefined, c: Tensor) => gates(limit(p ? add(z, mul(p, c)) : z));
  return ([h, c], x) => {
    const z = add(add(matmul(x, kernel), b), matmul(h, recurrentKernel));
    const [zi, zf, zc, zo] = split(z, 4);
    const i = gate(zi, pi, c);
    const f = inputForget ? sub(1, i) : gate(zf, pf, c);
    const g = candidate(limit(zc));
    const nextC = add(mul(f, c), mul(i, g));
    const o = gate(zo, po, nextC);
    const nextH = mul(o, cell(nextC));
    return [nextH, [nextH, nextC]];
  };
}
