/**
 * Limits on what a graph may demand. A file of a few hundred bytes can describe hours of work and terabytes
 * of tensors, and a running call cannot be interrupted; so a graph is traced and its work counted before it
 * is computed.
 */
import { quoted } from "../../../src/quoted.ts";
import { traceFlat, valueOf } from "../../../src/program/trace.ts";
import { type Equation, isEquation, type Program, type Value } from "../../../src/program/types.ts";
import { type Dim, type Shape } from "../../../src/tensor/dims.ts";
import { printSpec, type Spec, specOf, type Tensor } from "../../../src/tensor/tensor.ts";
import { OnnxError } from "../errors.ts";

/**
 * Limits on what a graph may demand; sizes that its inputs leave open count as 1, since the caller chooses
 * them.
 */
export interface OnnxLimits {
  /** Nodes, including those of graphs inside nodes. Default 50,000. */
  readonly maxNodes?: number;
  /** Elementwise operations in a call, counting a multiply-add as one. Default 10¹¹: seconds to a minute. */
  readonly maxWork?: number;
  /** Elements of one tensor. Default 2²⁸: 1 GiB. */
  readonly maxElements?: number;
}

/** The names of {@linkcode OnnxLimits}. */
export const limitNames: readonly (keyof OnnxLimits)[] = ["maxNodes", "maxWork", "maxElements"];

const DEFAULTS: Required<OnnxLimits> = { maxNodes: 50_000, maxWork: 1e11, maxElements: 2 ** 28 };

/** The limits with defaults, checked. */
export function limitsOf(what: string, { maxNodes, maxWork, maxElements }: OnnxLimits): Required<OnnxLimits> {
  const given = { maxNodes, maxWork, maxElements };
  const all = { ...DEFAULTS };
  for (const name of limitNames) {
    const value = given[name];
    if (value === undefined) continue;
    if (typeof value !== "number" || !(value >= 1)) {
      throw new RangeError(`Cannot use ${what}: ${name} is ${quoted(value)}, expected a number from 1`);
    }
    all[name] = value;
  }
  return all;
}

/** Called with the results of a node, and the operations that were computed already as their operands are known. */
export type Mark = (place: string, results: readonly Tensor[], done: number) => void;

/**
 * Throws unless a computation stays within the limits; nothing is computed.
 *
 * @param inputs All tensors that it reads.
 * @param run The computation, on tensors that stand for `inputs`; it reports each node that it has computed.
 */
export function checkWork(
  limits: Required<OnnxLimits>,
  place: string,
  inputs: readonly Spec[],
  run: (inputs: readonly Tensor[], mark: Mark) => void,
): void {
  const madeBy = new Map<Value, string>();
  const checkSize = (node: string, spec: Spec) => {
    const elements = elementsOf(spec.shape);
    if (elements <= limits.maxElements) return;
    throw tooMuch(node, `it makes ${printSpec(spec)} of ${elements} elements`, "maxElements", limits);
  };
  let work = 0;
  const checkSum = (node: string) => {
    if (work <= limits.maxWork) return;
    const sum = work.toPrecision(2);
    throw tooMuch(node, `with what comes before it, a call takes ${sum} operations`, "maxWork", limits);
  };
  const { program } = traceFlat(inputs.map(specOf), (tensors) => {
    run(tensors, (node, results, done) => {
      work += done;
      checkSum(node);
      for (const result of results) {
        checkSize(node, result); // here too, before the next node fails on it
        if (result.kind === "traced" && !madeBy.has(valueOf(result))) madeBy.set(valueOf(result), node);
      }
    });
    return { outputs: [], result: undefined };
  });
  let waiting: Equation[] = []; // equations of a node without a result yet
  const check = (node: string) => {
    for (const equation of waiting) {
      work += workOf(equation);
      for (const value of equation.outputs) checkSize(node, value);
      checkSum(node);
    }
    waiting = [];
  };
  for (const equation of program.equations) {
    waiting.push(equation);
    const node = equation.outputs.map((value) => madeBy.get(value)).find((found) => found !== undefined);
    if (node !== undefined) check(node);
  }
  check(place);
}

function tooMuch(
  place: string,
  what: string,
  option: keyof OnnxLimits,
  limits: Required<OnnxLimits>,
): OnnxError {
  return new OnnxError(place, `${what}, expected at most ${limits[option]}; ${option} allows more`, {
    doing: "run the ONNX model",
  });
}

/** A size, with every symbol counted as 1. */
function least(dim: Dim): number {
  return typeof dim === "number" ? dim : Math.max(0, Object.values(dim.terms).reduce((sum, n) => sum + n, 0));
}

function elementsOf(shape: Shape): number {
  return shape.reduce<number>((elements, dim) => elements * least(dim), 1);
}

function workOf(equation: Equation): number {
  const { inputs, outputs, operation: { name } } = equation;
  if (isEquation(equation, "scan")) {
    return least(equation.attributes.length) * workOfProgram(equation.attributes.body);
  }
  if (name === "constant" || name === "reshape") return 0;
  const all = [...inputs, ...outputs].map(({ shape }) => elementsOf(shape));
  if (!isEquation(equation, "matmul")) return Math.max(...all);
  const { shape } = inputs[0];
  return elementsOf(outputs[0].shape) *
    least(shape[shape.length - (equation.attributes.transposeLeft ? 2 : 1)]);
}

/** The elementwise operations of a Program. */
export function workOfProgram({ equations }: Program): number {
  return equations.reduce((sum, equation) => sum + workOf(equation), 0);
}
