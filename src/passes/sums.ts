/**
 * Sums in the body of a scan: among several terms, those known before the loop are summed first, so that
 * their sum can leave it; and additions to all parts of a merged product become one addition to the product,
 * so that products of gates written separately get the same form as those written together.
 */
import { add } from "../operations/elementwise.ts";
import { broadcastTo, concat, sliceAxis } from "../operations/structure.ts";
import { type Equation, type EquationOf, isEquation, type Program, type Value } from "../program/types.ts";
import { addDims, type Dim, sameShape } from "../tensor/dims.ts";
import { printSpec, type Tensor } from "../tensor/tensor.ts";
import { type Level, levelsOf } from "./levels.ts";
import { makersOf, type Note, readersOf, rewrite, rewriteBodies, type Rewriter } from "./rewrite.ts";
import { replayEquation, tensorOf, traceFlat } from "../program/trace.ts";

type Addition = EquationOf<"add">;

/** Sums first what is known before the loop, in the bodies of all scans. */
export function regroupSums(program: Program, note: Note): Program {
  return rewriteBodies(
    program,
    (body, attributes) => rewrite(body, regroup(body, levelsOf(attributes), note)),
  );
}

/** Joins additions to the parts of a value, in the bodies of all scans. */
export function mergeSums(program: Program, note: Note): Program {
  return rewriteBodies(program, (body, attributes) => {
    // A joined value may itself be made of parts.
    for (let current = body;;) {
      const group = additionsToPieces(current, levelsOf({ ...attributes, body: current }));
      if (!group) return current;
      note(`joined ${group.parts.length} additions of a scan into ${printSpec(group.whole)}`);
      current = join(current, group);
    }
  });
}

/** The terms of sums of which some are known before the loop and some are not. */
function regroup(body: Program, levels: ReadonlyMap<Value, Level>, note: Note): Rewriter {
  const makers = makersOf(body), readers = readersOf(body);
  const isInner = (value: Value) => {
    const list = readers.get(value) ?? [];
    return list.length === 1 && isEquation(list[0], "add");
  };
  const termsOf = (value: Value): Value[] => {
    const maker = makers.get(value);
    return isEquation(maker, "add") && isInner(value) ? maker.inputs.flatMap(termsOf) : [value];
  };
  const tensors = new Map<Value, Tensor>();
  return (equation, operands, emitAgain) => {
    equation.inputs.forEach((value, index) => tensors.set(value, operands[index]));
    if (!isEquation(equation, "add") || isInner(equation.outputs[0])) return emitAgain();
    const terms = equation.inputs.flatMap(termsOf);
    const isLate = (value: Value) => levels.get(value) === "step";
    // A carry comes last, so that a carry that only sums can still leave the loop.
    const isCarry = (value: Value) => isLate(value) && !makers.has(value);
    const early = terms.filter((term) => !isLate(term));
    const late = [
      ...terms.filter((term) => isLate(term) && !isCarry(term)),
      ...terms.filter(isCarry),
    ];
    const isApart = equation.inputs.some((value) =>
      isLate(value) && termsOf(value).some((term) => !isLate(term))
    );
    if (early.length < 2 || late.length === 0 || !isApart) return emitAgain();
    note(`summed up first ${early.length} of ${terms.length} terms ${printSpec(equation.outputs[0])}`);
    return [[...early, ...late].map((term) => tensors.get(term) as Tensor).reduce((a, b) => add(a, b))]; // earlier operands
  };
}

/** Additions to parts that make up a value, and their addends. */
interface Group {
  /** The value `[batch, columns]`. */
  readonly whole: Value;
  /** In the order of the columns. */
  readonly parts: readonly { readonly equation: Addition; readonly first: Dim; readonly size: Dim }[];
  /** Another value in the same parts, or vectors that are repeated. */
  readonly added: { readonly whole: Value } | { readonly vectors: readonly Value[] };
}

function additionsToPieces(body: Program, levels: ReadonlyMap<Value, Level>): Group | undefined {
  const makers = makersOf(body), readers = readersOf(body);
  for (const equation of body.equations) {
    const [whole] = equation.outputs;
    const slices = readers.get(whole) ?? [];
    if (whole.shape.length !== 2 || slices.length < 2) continue;
    const parts = slices.flatMap((slice) => {
      if (!isEquation(slice, "slice") || !isColumns(slice)) return [];
      const [reader, ...more] = readers.get(slice.outputs[0]) ?? [];
      if (!isEquation(reader, "add") || more.length > 0) return [];
      const [left, right] = reader.inputs;
      const other = left === slice.outputs[0] ? right : left;
      return [{ equation: reader, other, first: slice.attributes.start[1], size: slice.attributes.size[1] }];
    }).toSorted((a, b) => Number(a.first) - Number(b.first));
    if (parts.length !== slices.length || !tile(parts, whole.shape[1])) continue;
    const added = addedTo(parts, makers, levels);
    const fits = added &&
      ("vectors" in added || (added.whole !== whole && sameShape(added.whole.shape, whole.shape)));
    if (fits) return { whole, parts, added };
  }
  return undefined;
}

/** Whether the slice takes some columns of all rows. */
function isColumns(slice: EquationOf<"slice">): boolean {
  const { start, size, stride } = slice.attributes;
  const [rows] = slice.inputs[0].shape;
  return start[0] === 0 && size[0] === rows && stride.every((step) => step === 1) &&
    typeof start[1] === "number";
}

function tile(parts: readonly { readonly first: Dim; readonly size: Dim }[], columns: Dim): boolean {
  let next: Dim = 0;
  for (const { first, size } of parts) {
    if (first !== next) return false;
    next = addDims(next, size);
  }
  return next === columns;
}

function addedTo(
  parts: readonly { readonly other: Value; readonly first: Dim; readonly size: Dim }[],
  makers: ReadonlyMap<Value, Equation>,
  levels: ReadonlyMap<Value, Level>,
): Group["added"] | undefined {
  const sources = parts.map(({ other }) => makers.get(other));
  const [source] = sources;
  if (isEquation(source, "slice")) {
    const [whole] = source.inputs;
    const alike = sources.every((slice, index) =>
      isEquation(slice, "slice") && slice.inputs[0] === whole && isColumns(slice) &&
      slice.attributes.start[1] === parts[index].first && slice.attributes.size[1] === parts[index].size
    );
    return alike ? { whole } : undefined;
  }
  const vectors = sources.flatMap((maker) =>
    isEquation(maker, "broadcast") && maker.attributes.axes.join() === "1" &&
      maker.inputs[0].shape.length === 1 &&
      !makers.has(maker.inputs[0]) && levels.get(maker.inputs[0]) === "constant"
      ? [maker.inputs[0]]
      : []
  );
  const fit = vectors.length === parts.length && vectors.every(({ shape }, i) => shape[0] === parts[i].size);
  return fit ? { vectors } : undefined;
}

/** The body with one addition in place of the first, and slices of it in place of the others. */
function join(body: Program, { whole, parts, added }: Group): Program {
  return traceFlat(body.inputs, (inputs) => {
    const tensors = new Map<Value, Tensor>(body.inputs.map((value, index) => [value, inputs[index]]));
    let sum: Tensor | undefined;
    const get = (value: Value) => tensorOf(tensors, value);
    for (const equation of body.equations) {
      const part = parts.find((candidate) => candidate.equation === equation);
      if (part) {
        sum ??= add(
          get(whole),
          "whole" in added
            ? get(added.whole)
            : broadcastTo(concat(added.vectors.map(get), { axis: 0 }), whole.shape),
        );
        tensors.set(equation.outputs[0], sliceAxis(sum, 1, part.first, part.size));
      } else {
        const made = replayEquation(equation, equation.inputs.map(get));
        equation.outputs.forEach((value, index) => tensors.set(value, made[index]));
      }
    }
    return { outputs: body.outputs.map(get), result: undefined };
  }).program;
}
