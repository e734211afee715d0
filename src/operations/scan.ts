/**
 * The primitive `scan` and its derivative, which is a scan in the other direction. The forward scan puts out what the
 * backward one needs (residuals): values of the body that cannot be had cheaply from its inputs. With `recompute` it
 * puts out the carries alone, and the backward body runs the forward body again.
 */
import { activeValues, pullback, record, type Tape } from "../transforms/differentiate.ts";
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
import {
  type Attributes,
  type DerivativeContext,
  type Equation,
  type Operation,
  type Program,
  stackedSpec,
  stepSpec,
  timeAxis,
  type Value,
} from "../program/types.ts";
import { sameShape } from "../tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { apply } from "./apply.ts";
import { add, materialize } from "./elementwise.ts";
import { zerosLike } from "./structure.ts";

export const scanOperation: Operation<"scan"> = {
  name: "scan",
  infer: (inputs, { body, constants, carries, length }) => {
    inputs.slice(constants + carries).forEach((sequence, index) => {
      const along = sequence.shape[timeAxis(sequence.shape.length)];
      if (along !== length) {
        throw new TypeError(
          `Cannot scan ${printSpec(sequence)} (sequence ${index}): ` +
            `it has ${along} steps, the scan ${length}`,
        );
      }
    });
    const given = inputs.map((input, index) => index < constants + carries ? input : stepSpec(input));
    body.inputs.forEach((value, index) => {
      if (value.dtype !== given[index].dtype || !sameShape(value.shape, given[index].shape)) {
        throw new TypeError(
          `Cannot scan: input ${index} is ${printSpec(given[index])}, the body takes ${printSpec(value)}`,
        );
      }
    });
    return body.outputs.map((value, index) => index < carries ? value : stackedSpec(value, length));
  },
  derivative: (context) => {
    const { attributes } = equationOf(context.outputs[0]) as { attributes: Attributes["scan"] }; // it is a scan
    return differentiateScan({ ...context, attributes });
  },
};

/** Inputs of the body that carry derivatives: those asked for, and the carries that come to depend on them. */
function activeInputs(
  { body, constants, carries }: Attributes["scan"],
  wanted: readonly boolean[],
): boolean[] {
  const active = body.inputs.map((_, index) => wanted[index] ?? false);
  for (let changed = true; changed;) {
    changed = false;
    const values = activeValues(body, active);
    for (let carry = 0; carry < carries; carry++) {
      if (!active[constants + carry] && values.has(body.outputs[carry])) {
        changed = active[constants + carry] = true;
      }
    }
  }
  return active;
}

/** The backward body before its inputs are arranged: what it reads of the forward body, and what it gives. */
interface Transposed {
  /** The forward body, run again so that `reads` are values of it. */
  readonly forward: Program;
  /** Inputs: cotangents of the carries, of the stacked outputs that have any, then `reads`. */
  readonly backward: Program;
  readonly reads: readonly (Value | Tensor)[];
}

function differentiateScan(context: DerivativeContext<"scan">): (Tensor | undefined)[] {
  const { inputs, outputs, attributes, cotangents, wanted } = context;
  const { body, constants, carries, length, reverse, recompute } = attributes;
  const active = activeInputs(attributes, wanted);
  const indices = body.inputs.map((_, index) => index);
  const activeConstants = indices.filter((index) => active[index] && index < constants);
  const activeCarries = indices.filter((index) =>
    active[index] && index >= constants && index < constants + carries
  );
  const activeSequences = indices.filter((index) => active[index] && index >= constants + carries);
  const stacked = outputs.map((_, index) => index).filter((index) => index >= carries && cotangents[index]);

  // Runs back over one step: cotangents in, cotangents of the body's active inputs out.
  const back = (tape: Tape, given: readonly Tensor[]): Tensor[] => {
    const ofOutputs: (Tensor | undefined)[] = body.outputs.map(() => undefined);
    activeCarries.forEach((index, i) => ofOutputs[index - constants] = given[i]);
    stacked.forEach((index, i) => ofOutputs[index] = given[activeCarries.length + i]);
    const ofInputs = pullback(tape, ofOutputs);
    return [...activeCarries, ...activeConstants, ...activeSequences].map((index) =>
      materialize(ofInputs[index], body.inputs[index])
    );
  };
  const cotangentSpecs: Spec[] = [
    ...activeCarries.map((index) => body.inputs[index]),
    ...stacked.map((index) => body.outputs[index]),
  ];

  const { reads, run } = recompute
    ? runAgain(context, active, back)
    : readResiduals(context, transpose(body, active, cotangentSpecs, back));

  const backwardConstants = reads.filter((read) => read.role === "constant");
  const backwardSequences = reads.filter((read) => read.role === "sequence");
  const sums = activeConstants.map((index) => zerosLike(body.inputs[index]));
  const initial = [
    ...activeCarries.map((index) => materialize(cotangents[index - constants], body.inputs[index])),
    ...sums,
  ];
  const sequences = [
    ...backwardSequences.map(({ tensor }) => tensor),
    ...stacked.map((index) => materialize(cotangents[index], outputs[index])),
  ];
  const operands = [...backwardConstants.map(({ tensor }) => tensor), ...initial, ...sequences];
  const steps = operands.map((operand, index) =>
    index < backwardConstants.length + initial.length ? operand : stepSpec(operand)
  );
  const { program, captured } = traceFlat(steps, (tracers) => {
    const take = (count: number) => tracers.splice(0, count);
    const constantTracers = take(backwardConstants.length);
    const carryTracers = take(activeCarries.length);
    const sumTracers = take(sums.length);
    const sequenceTracers = take(backwardSequences.length);
    const found = new Map<Value | Tensor, Tensor>();
    backwardConstants.forEach(({ of }, index) => found.set(of, constantTracers[index]));
    backwardSequences.forEach(({ of }, index) => found.set(of, sequenceTracers[index]));
    const results = run(found, [...carryTracers, ...tracers]);
    const next = results.slice(0, activeCarries.length);
    const added = sumTracers.map((total, index) => add(total, results[activeCarries.length + index]));
    const perStep = results.slice(activeCarries.length + sums.length);
    return { outputs: [...next, ...added, ...perStep], result: undefined };
  }, { capturesConstants: true });
  // Large constants of the body come after the inputs that were asked for; a scan wants its constants first.
  const given = steps.length;
  const arranged: Program = {
    ...program,
    inputs: [...program.inputs.slice(given), ...program.inputs.slice(0, given)],
  };
  const results = apply(scanOperation, [...captured, ...operands], {
    body: arranged,
    constants: captured.length + backwardConstants.length,
    carries: initial.length,
    length,
    reverse: !reverse,
    recompute,
  });
  const byInput: (Tensor | undefined)[] = inputs.map(() => undefined);
  [...activeCarries, ...activeConstants, ...activeSequences].forEach((index, i) => {
    if (wanted[index]) byInput[index] = results[i];
  });
  return byInput;
}

/** What the backward scan reads of the forward one: `of` a value of the forward body, found in `tensor`. */
interface Read {
  readonly of: Value | Tensor;
  readonly tensor: Tensor;
  readonly role: "constant" | "sequence";
}

/** How the backward body is computed from what it reads and the cotangents of one step. */
interface BackwardStep {
  readonly reads: readonly Read[];
  readonly run: (found: ReadonlyMap<Value | Tensor, Tensor>, cotangents: readonly Tensor[]) => Tensor[];
}

/** With `recompute`: the backward body reads the inputs of the forward body and runs it again. */
function runAgain(
  { inputs, outputs, attributes }: DerivativeContext<"scan">,
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
  return {
    reads: body.inputs.map((of, index) =>
      index < constants ? { of, tensor: inputs[index], role: "constant" } : {
        of,
        tensor: index < constants + carries ? before[index - constants] : inputs[index],
        role: "sequence",
      }
    ),
    run: (found, cotangents) =>
      back(
        record(
          body,
          body.inputs.map((value) => tensorOf(found as ReadonlyMap<Value, Tensor>, value)),
          active,
        ),
        cotangents,
      ),
  };
}

/** The body run forward in one trace and back in a trace inside it: what the inner one captures are the residuals. */
function transpose(
  body: Program,
  active: readonly boolean[],
  cotangentSpecs: readonly Spec[],
  back: (tape: Tape, given: readonly Tensor[]) => Tensor[],
): Transposed {
  const { program: forward, result } = traceFlat(body.inputs, (inputs) => {
    const tape = record(body, inputs, active);
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

/** Operations that cost less than reading their result from memory. */
const CHEAP: ReadonlySet<string> = new Set<keyof Attributes>([
  "constant",
  "iota",
  "size",
  "neg",
  "abs",
  "sign",
  "floor",
  "not",
  "cast",
  "stopGradient",
  "add",
  "sub",
  "mul",
  "max",
  "min",
  "equal",
  "less",
  "lessEqual",
  "and",
  "or",
  "select",
  "broadcast",
  "reshape",
  "slice",
  "concat",
]);

/** Without `recompute`: the forward scan puts out the residuals, the backward one reads them. */
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
  // Whether a value can be had again from constants, sequences and the residuals that stay.
  const cheap = (value: Value): boolean => {
    if (invariant.has(value) || kept.has(value)) return true;
    const maker = makers.get(value);
    if (!maker) return !isCarry(value);
    return CHEAP.has(maker.operation.name) && maker.inputs.every(cheap);
  };
  for (const value of [...kept].filter((value) => makers.has(value)).reverse()) {
    kept.delete(value);
    if (!cheap(value)) kept.add(value);
  }
  const residuals = [...kept];
  const stacks = residuals.length === 0 ? [] : extendEquation<"scan">(
    outputs[0],
    { ...attributes, body: { ...forward, outputs: [...forward.outputs, ...residuals] } },
    residuals.map((value) => stackedSpec(value, length)),
  );
  return {
    reads: [
      ...reads.filter((read): read is Tensor => "kind" in read).map((of): Read => ({
        of,
        tensor: of,
        role: "constant",
      })),
      ...forward.inputs.flatMap((of, index): Read[] =>
        index < constants
          ? [{ of, tensor: inputs[index], role: "constant" }]
          : index < constants + carries
          ? []
          : [{ of, tensor: inputs[index], role: "sequence" }]
      ),
      ...residuals.map((of, index): Read => ({ of, tensor: stacks[index], role: "sequence" })),
    ],
    run: (found, cotangents) => {
      const again = new Map<Value | Tensor, Tensor>(found);
      const get = (of: Value | Tensor): Tensor => {
        const known = again.get(of);
        if (known) return known;
        const maker = makers.get(of);
        if (!maker) throw new Error(`The derivative of a scan reads a ${printSpec(of)} that was not kept`);
        replayEquation(maker, maker.inputs.map(get)).forEach((tensor, index) =>
          again.set(maker.outputs[index], tensor)
        );
        return get(of);
      };
      return inline(backward, [...cotangents, ...reads.map(get)]);
    },
  };
}
