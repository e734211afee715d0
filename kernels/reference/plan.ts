/**
 * Where every buffer of a Program lies, decided once before the first run. Plain data for any backend: a region of an
 * arena (one per dtype) for each value that an equation makes. Values that are never live together share memory.
 *
 * Nothing here allocates or runs. The body of a scan is a Program of its own; whoever runs the scan plans it.
 */
import { type Bindings, evaluateShape } from "../../src/tensor/dims.ts";
import type { DType } from "../../src/tensor/tensor.ts";
import { type Equation, isEquation, type Program, type Value } from "../../src/program/types.ts";

/** A range of elements of the arena of `dtype`. */
export interface Region {
  readonly dtype: DType;
  /** In elements; a multiple of `REGION_ALIGNMENT`. */
  readonly offset: number;
  /** In elements. */
  readonly size: number;
}

/** The shapes and places of all values of a Program, for one set of bindings. */
export interface Plan {
  /** The shape of every value, inputs included, in numbers. */
  readonly shapes: ReadonlyMap<Value, readonly number[]>;
  /** Where each output of an equation lies. The Program's inputs lie wherever the caller has them. */
  readonly regions: ReadonlyMap<Value, Region>;
  /** How many elements the arena of each dtype needs. */
  readonly arenas: Readonly<Record<DType, number>>;
  /**
   * Equations without inputs: they give the same at every run, so they are run once, before the first. Nothing else
   * is ever placed where their outputs lie.
   */
  readonly once: ReadonlySet<Equation>;
  /** `reshape` and `stopGradient` equations whose output has the region of their input: they need not be run. */
  readonly aliases: ReadonlySet<Equation>;
}

/** Offsets are multiples of this many elements: 16 bytes where an element has 4, as SIMD loads like it. */
export const REGION_ALIGNMENT = 4;

/**
 * Places every value that the equations of `program` make.
 *
 * A value lives from the equation that makes it through the last one that reads it; outputs of the Program live to
 * the end. An equation's outputs never lie over its own inputs, so a kernel may write before it has read everything.
 *
 * @param program The Program; the bodies of its scans are not entered.
 * @param bindings The value of every symbolic size.
 * @throws RangeError naming a symbol that has no value, or a size that would be negative.
 */
export function planProgram(program: Program, bindings: Bindings): Plan {
  const shapes = resolveShapes(program, bindings);
  const { owner, aliases } = findAliases(program);
  const lastRead = findLastReads(program, owner);
  const once = new Set(program.equations.filter((equation) => equation.inputs.length === 0));

  const arenas: Record<DType, Arena> = {
    float32: new Arena(),
    int32: new Arena(),
    bool: new Arena(),
    float64: new Arena(),
  };
  const regions = new Map<Value, Region>();
  const place = (value: Value) => {
    // every value of the Program has a shape by now: resolveShapes visited it
    const size = shapes.get(value)!.reduce((product, dim) => product * dim, 1);
    regions.set(value, { dtype: value.dtype, offset: arenas[value.dtype].take(size), size });
  };

  for (const equation of once) equation.outputs.forEach(place);
  program.equations.forEach((equation, index) => {
    if (aliases.has(equation)) {
      const region = regions.get(owner(equation.outputs[0]));
      if (region) regions.set(equation.outputs[0], region);
    } else if (!once.has(equation)) {
      equation.outputs.forEach(place);
    }
    for (const value of lastRead.get(index) ?? []) {
      const region = regions.get(value);
      if (region) arenas[region.dtype].give(region.offset, region.size);
    }
  });
  return {
    shapes,
    regions,
    arenas: {
      float32: arenas.float32.size,
      int32: arenas.int32.size,
      bool: arenas.bool.size,
      float64: arenas.float64.size,
    },
    once,
    aliases,
  };
}

function resolveShapes(program: Program, bindings: Bindings): Map<Value, readonly number[]> {
  const shapes = new Map<Value, readonly number[]>();
  for (const value of [...program.inputs, ...program.equations.flatMap((equation) => equation.outputs)]) {
    const shape = evaluateShape(value.shape, bindings);
    const axis = shape.findIndex((dim) => !(dim >= 0));
    if (axis >= 0) {
      throw new RangeError(
        `Cannot plan a value of shape [${shape.join(", ")}]: axis ${axis} is ${
          value.shape[axis]
        }, which is negative here`,
      );
    }
    shapes.set(value, shape);
  }
  return shapes;
}

/**
 * Which equations only rename memory, and the value whose region each value uses. What renames an input of the
 * Program is a copy: inputs are not placed, and a result must not change when its caller reuses the input.
 */
function findAliases(program: Program): { owner: (value: Value) => Value; aliases: Set<Equation> } {
  const inputs = new Set(program.inputs);
  const owners = new Map<Value, Value>();
  const aliases = new Set<Equation>();
  const owner = (value: Value) => owners.get(value) ?? value;
  for (const equation of program.equations) {
    const renames = isEquation(equation, "reshape") || isEquation(equation, "stopGradient");
    if (renames && !inputs.has(equation.inputs[0])) {
      owners.set(equation.outputs[0], owner(equation.inputs[0]));
      aliases.add(equation);
    }
  }
  return { owner, aliases };
}

/** By index of equation, the owners of memory that nobody reads after it. */
function findLastReads(program: Program, owner: (value: Value) => Value): Map<number, Value[]> {
  const last = new Map<Value, number>();
  program.equations.forEach((equation, index) => {
    for (const value of [...equation.outputs, ...equation.inputs]) last.set(owner(value), index);
  });
  for (const equation of program.equations) {
    if (equation.inputs.length === 0) { for (const value of equation.outputs) last.delete(value); }
  }
  for (const value of program.outputs) last.delete(owner(value));
  const byIndex = new Map<number, Value[]>();
  for (const [value, index] of last) byIndex.set(index, [...byIndex.get(index) ?? [], value]);
  return byIndex;
}

/** A growing range of elements from which regions are taken, best fit first, and given back. */
class Arena {
  /** How many elements were ever in use at once, gaps included. */
  size = 0;
  /** Free ranges in order of offset, no two adjacent. */
  readonly #free: { offset: number; size: number }[] = [];

  take(elements: number): number {
    const size = roundUp(elements);
    if (size === 0) return 0;
    let best: { offset: number; size: number } | undefined;
    for (const range of this.#free) {
      if (range.size >= size && (best === undefined || range.size < best.size)) best = range;
    }
    if (best === undefined) {
      const last = this.#free.at(-1);
      if (last === undefined || last.offset + last.size !== this.size) {
        this.size += size;
        return this.size - size;
      }
      // the free range at the end is too small: grow it
      this.size = last.offset + size;
      last.size = size;
      best = last;
    }
    const offset = best.offset;
    best.offset += size;
    best.size -= size;
    if (best.size === 0) this.#free.splice(this.#free.indexOf(best), 1);
    return offset;
  }

  give(offset: number, elements: number): void {
    const size = roundUp(elements);
    if (size === 0) return;
    let index = this.#free.findIndex((range) => range.offset > offset);
    if (index < 0) index = this.#free.length;
    this.#free.splice(index, 0, { offset, size });
    this.#joinWithNext(index);
    this.#joinWithNext(index - 1);
  }

  #joinWithNext(index: number): void {
    const range = this.#free[index];
    const next = this.#free[index + 1];
    if (range === undefined || next === undefined || range.offset + range.size !== next.offset) return;
    range.size += next.size;
    this.#free.splice(index + 1, 1);
  }
}

function roundUp(elements: number): number {
  return Math.ceil(elements / REGION_ALIGNMENT) * REGION_ALIGNMENT;
}
