/**
 * The derivative of a scan, which is a scan in the opposite direction. The forward scan outputs what the
 * backward one needs (residuals): values of the body that cannot be recomputed cheaply from its inputs. With
 * `recompute` it outputs only the carries, and the backward body runs the forward body again.
 */
import { zerosLike } from "../operations/creation.ts";
import { add } from "../operations/elementwise.ts";
import { foldFlat } from "../operations/scan.ts";
import {
  equationOf,
  extendEquation,
  inline,
  isTraced,
  replayEquation,
  tensorOf,
  traceFlat,
  valueOf,
} from "../program/trace.ts";
import { type Attributes, type Equation, type Program, stackedSpec, type Value } from "../program/types.ts";
import { addDims, type Dim, isAtMost, multiplyDims, sizeOfShape } from "../tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { zerosIfAbsent } from "./cotangents.ts";
import type { DerivativeContext, Derivatives, Tape } from "./rule.ts";

export const folds: Derivatives<"scan"> = {
  scan: (context) => {
    const { attributes } = equationOf(context.outputs[0]) as { attributes: Attributes["scan"] }; // it is a scan
    return differentiateScan({ ...context, attributes });
  },
};

/**
 * Inputs of the body that carry derivatives: the requested ones, and the carries that come to depend on them.
 */
function activeInputs(
  { attributes: { body, constants, carries }, wanted, differentiation }: DerivativeContext<"scan">,
): boolean[] {
  const active = body.inputs.map((_, index) => wanted[index] ?? false);
  for (let changed = true; changed;) {
    changed = false;
    const values = differentiation.activeValues(body, active);
    for (let carry = 0; carry < carries; carry++) {
      if (!active[constants + carry] && values.has(body.outputs[carry])) {
        changed = active[constants + carry] = true;
      }
    }
  }
  return active;
}

/** The backward body before its inputs are arranged: what it reads from the forward body, and its results. */
interface Transposed {
  /** The forward body, run again so that `reads` are values of it. */
  readonly forward: Program;
  /** Inputs: cotangents of the carries, of the stacked outputs that have any, then `reads`. */
  readonly backward: Program;
  readonly reads: readonly (Value | Tensor)[];
}

function differentiateScan(context: DerivativeContext<"scan">): (Tensor | undefined)[] {
  const { inputs, outputs, attributes, cotangents, wanted, differentiation } = context;
  const { body, constants, carries, length, reverse, recompute } = attributes;
  const active = activeInputs(context);
  const indices = body.inputs.map((_, index) => index);
  const activeConstants = indices.filter((index) => active[index] && index < constants);
  const activeCarries = indices.filter((index) =>
    active[index] && index >= constants && index < constants + carries
  );
  const activeSequences = indices.filter((index) => active[index] && index >= constants + carries);
  const stacked = outputs.map((_, index) => index).filter((index) => index >= carries && cotangents[index]);

  // Goes back over one step: cotangents in, cotangents of the body's active inputs out.
  const back = (tape: Tape, given: readonly Tensor[]): Tensor[] => {
    const ofOutputs: (Tensor | undefined)[] = body.outputs.map(() => undefined);
    activeCarries.forEach((index, i) => ofOutputs[index - constants] = given[i]);
    stacked.forEach((index, i) => ofOutputs[index] = given[activeCarries.length + i]);
    const ofInputs = differentiation.pullback(tape, ofOutputs);
    return [...activeCarries, ...activeConstants, ...activeSequences].map((index) =>
      zerosIfAbsent(ofInputs[index], body.inputs[index])
    );
  };
  const cotangentSpecs: Spec[] = [
    ...activeCarries.map((index) => body.inputs[index]),
    ...stacked.map((index) => body.outputs[index]),
  ];

  const { sequences: read, run } = recompute
    ? runAgain(context, active, back)
    : readResiduals(context, transpose(context, active, cotangentSpecs, back));
  const initial = [
    ...activeCarries.map((index) => zerosIfAbsent(cotangents[index - constants], body.inputs[index])),
    ...activeConstants.map((index) => zerosLike(body.inputs[index])),
  ];
  const sequences = [
    ...read.map(({ tensor }) => tensor),
    ...stacked.map((index) => zerosIfAbsent(cotangents[index], outputs[index])),
  ];
  const { carries: totals, outputs: perStep } = foldFlat(initial, sequences, (carries, steps) => {
    const found = new Map(read.map(({ of }, index) => [of, steps[index]]));
    const results = run(found, [...carries.slice(0, activeCarries.length), ...steps.slice(read.length)]);
    const sums = carries.slice(activeCarries.length).map((total, i) =>
      add(total, results[activeCarries.length + i])
    );
    return {
      carries: [...results.slice(0, activeCarries.length), ...sums],
      outputs: results.slice(initial.length),
      result: undefined,
    };
  }, { length, reverse: !reverse, recompute });
  const results = [...totals, ...perStep];
  const byInput: (Tensor | undefined)[] = inputs.map(() => undefined);
  [...activeCarries, ...activeConstants, ...activeSequences].forEach((index, i) => {
    if (wanted[index]) byInput[index] = results[i];
  });
  return byInput;
}

/** A value of the forward body that the backward scan reads step by step, found in `tensor`. */
interface Read {
  readonly of: Value;
  readonly tensor: Tensor;
}

/** How the backward body is computed from its reads and the cotangents of one step. */
interface BackwardStep {
  readonly sequences: readonly Read[];
  readonly run: (found: ReadonlyMap<Value, Tensor>, cotangents: readonly Tensor[]) => Tensor[];
}

/** With `recompute`: the backward body reads the inputs of the forward body and runs it again. */
function runAgain(
  { inputs, outputs, attributes, differentiation }: DerivativeContext<"scan">,
  active: readonly boolean[],
  back: (tape: Tape, given: readonly Tensor[]) => Tensor[],
): BackwardStep {
  const { body, constants, carries, length } = attributes;
  const carryValues = body.inputs.slice(constants, constants + carries);
  const before = extendEquation<"scan">(
    outputs[0],
    { ...attributes, body: { ...body, outputs: [...body.outputs, ...carryValues] } },
    carryValues.map((value) => stackedSpec(value, length)),
  );
  const sequences = [
    ...carryValues.map((of, index) => ({ of, tensor: before[index] })),
    ...body.inputs.slice(constants + carries).map((of, i) => ({
      of,
      tensor: inputs[constants + carries + i],
    })),
  ];
  return {
    sequences,
    run: (found, cotangents) => {
      const again = body.inputs.map((value, index) =>
        index < constants ? inputs[index] : tensorOf(found, value)
      );
      return back(differentiation.record(body, again, active), cotangents);
    },
  };
}

/**
 * The body runs forward in one trace and backward in a nested trace: the values that the inner one captures
 * are the residuals.
 */
function transpose(
  { attributes: { body }, differentiation }: DerivativeContext<"scan">,
  active: readonly boolean[],
  cotangentSpecs: readonly Spec[],
  back: (tape: Tape, given: readonly Tensor[]) => Tensor[],
): Transposed {
  const { program: forward, result } = traceFlat(body.inputs, (inputs) => {
    const tape = differentiation.record(body, inputs, active);
    const inner = traceFlat(cotangentSpecs, (given) => ({ outputs: back(tape, given), result: undefined }), {
      capturesConstants: true,
    });
    return {
      outputs: tape.outputs,
      result: { backward: inner.program, reads: inner.captured.map((x) => isTraced(x) ? valueOf(x) : x) },
    };
  });
  return { forward, ...result };
}

/** Without `recompute`: the forward scan outputs the residuals, and the backward one reads them. */
function readResiduals(
  { inputs, outputs, attributes }: DerivativeContext<"scan">,
  { forward, backward, reads }: Transposed,
): BackwardStep {
  const { constants, carries, length } = attributes;
  const makers = new Map<Value, Equation>();
  for (const equation of forward.equations) for (const value of equation.outputs) makers.set(value, equation);
  const position = new Map(forward.inputs.map((value, index) => [value, index]));
  const isCarry = (value: Value) => {
    const index = position.get(value);
    return index !== undefined && index >= constants && index < constants + carries;
  };
  const invariant = new Set<Value>(forward.inputs.slice(0, constants));
  for (const { inputs: operands, outputs: made } of forward.equations) {
    if (operands.every((value) => invariant.has(value))) { for (const value of made) invariant.add(value); }
  }
  const wanted = reads.filter((read): read is Value => !("kind" in read));
  const kept = new Set(
    wanted.filter((value) => !invariant.has(value) && (makers.has(value) || isCarry(value))),
  );
  // Whether a value can be recomputed from constants, sequences and the residuals that are kept.
  const cheap = (value: Value): boolean => {
    if (invariant.has(value) || kept.has(value)) return true;
    const maker = makers.get(value);
    if (!maker) return !isCarry(value);
    return maker.operation.isCheap === true && maker.inputs.every(cheap);
  };
  /** What else would have to be kept for a value to be recomputed. */
  const missingFor = (value: Value, seen = new Set<Value>()): Value[] => {
    if (seen.has(value) || cheap(value)) return [];
    seen.add(value);
    const maker = makers.get(value);
    if (maker?.operation.isCheap !== true) return [value];
    return maker.inputs.flatMap((input) => missingFor(input, seen));
  };
  for (const value of [...kept].filter((value) => makers.has(value)).reverse()) {
    kept.delete(value);
    // A value less a mean over its rows, for example, follows from the mean, which is smaller.
    const missing = missingFor(value),
      size = missing.reduce<Dim>((sum, { shape }) => addDims(sum, sizeOfShape(shape)), 0);
    const isSmaller = isAtMost(multiplyDims(size, 2), sizeOfShape(value.shape));
    for (const each of isSmaller ? missing : [value]) kept.add(each);
  }
  const residuals = [...kept];
  const stacks = residuals.length === 0 ? [] : extendEquation<"scan">(
    outputs[0],
    { ...attributes, body: { ...forward, outputs: [...forward.outputs, ...residuals] } },
    residuals.map((value) => stackedSpec(value, length)),
  );
  const firstSequence = constants + carries;
  const constantInputs = forward.inputs.slice(0, constants).map((of, index) => [of, inputs[index]] as const);
  return {
    sequences: [
      ...forward.inputs.slice(firstSequence).map((of, index) => ({
        of,
        tensor: inputs[firstSequence + index],
      })),
      ...residuals.map((of, index) => ({ of, tensor: stacks[index] })),
    ],
    run: (found, cotangents) => {
      const again = new Map<Value, Tensor>([...constantInputs, ...found]);
      const get = (of: Value): Tensor => {
        const known = again.get(of);
        if (known) return known;
        const maker = makers.get(of);
        if (!maker) throw new Error(`The derivative of a scan reads a ${printSpec(of)} that was not kept`);
        replayEquation(maker, maker.inputs.map(get)).forEach((tensor, index) =>
          again.set(maker.outputs[index], tensor)
        );
        return get(of);
      };
      return inline(backward, [...cotangents, ...reads.map((read) => "kind" in read ? read : get(read))]);
    },
  };
}
