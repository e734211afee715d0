/**
 * Where every buffer of a Program lies, decided once before the first run. Plain data for any backend: a
 * region of an arena (one per dtype) for each value that an equation computes. Values that are never live
 * together share memory.
 *
 * Nothing here allocates or runs. The body of a scan is a separate Program, planned by whatever runs the
 * scan.
 */
import { type Bindings, evaluateShape } from "../../src/tensor/dims.ts";
import { type Life, planMemory } from "../memory_plan.ts";
import { sizeOf } from "../shapes.ts";
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
   * Equations without inputs: they return the same in every run, so they run once, before the first. Nothing
   * else is ever placed where their outputs lie.
   */
  readonly once: ReadonlySet<Equation>;
  /** `reshape` and `stopGradient` equations whose output has the region of their input: they need not run. */
  readonly aliases: ReadonlySet<Equation>;
}

/** Offsets are multiples of this many elements: 16 bytes if an element has 4, which suits SIMD loads. */
export const REGION_ALIGNMENT = 4;

/**
 * Places every value that the equations of `program` compute.
 *
 * A value lives from the equation that computes it through the last one that reads it; outputs of the Program
 * live to the end. An equation's outputs never overlap its inputs, so a kernel may write before it has read
 * everything.
 *
 * @param program The Program, without the bodies of its scans.
 * @param bindings The value of every symbolic size.
 * @throws RangeError naming a symbol that has no value, or a size that would be negative.
 */
export function planProgram(program: Program, bindings: Bindings): Plan {
  const shapes = resolveShapes(program, bindings);
  const { owner, aliases } = findAliases(program);
  const once = new Set(program.equations.filter((equation) => equation.inputs.length === 0));
  const lives = findLives(program, { shapes, owner, aliases, once });
  const plans = mapDTypes((dtype) =>
    planMemory(new Map([...lives].filter(([value]) => value.dtype === dtype)), REGION_ALIGNMENT)
  );
  const regions = new Map<Value, Region>();
  for (const value of program.equations.flatMap(({ outputs }) => outputs)) {
    const { dtype } = value, offset = plans[dtype].offsets.get(owner(value));
    // Every value has a shape by now: resolveShapes visited it.
    if (offset !== undefined) regions.set(value, { dtype, offset, size: sizeOf(shapes.get(value)!) });
  }
  return { shapes, regions, arenas: mapDTypes((dtype) => plans[dtype].size), once, aliases };
}

/** A value for each dtype. */
function mapDTypes<Result>(of: (dtype: DType) => Result): Record<DType, Result> {
  return { float32: of("float32"), int32: of("int32"), bool: of("bool"), float64: of("float64") };
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
 * The equations that only rename memory, and the value whose region each value uses. An equation that renames
 * an input of the Program copies it: inputs are not placed, and a result must not change when its caller
 * reuses the input.
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

/**
 * The equations from and to which each owner of memory is live; the results of equations that run once, and
 * outputs, live to the end.
 */
function findLives(
  { equations, outputs }: Program,
  { shapes, owner, aliases, once }: Pick<Plan, "shapes" | "aliases" | "once"> & {
    readonly owner: (value: Value) => Value;
  },
): Map<Value, Life> {
  const lives = new Map<Value, Life>();
  equations.forEach((equation, index) => {
    const lasts = once.has(equation);
    for (const value of aliases.has(equation) ? [] : equation.outputs) {
      const size = sizeOf(shapes.get(value)!); // as above
      lives.set(value, { size, first: lasts ? 0 : index, last: lasts ? equations.length : index });
    }
    for (const value of equation.inputs) extend(lives, owner(value), index);
  });
  for (const value of outputs) extend(lives, owner(value), equations.length);
  return lives;
}

function extend(lives: Map<Value, Life>, value: Value, last: number): void {
  const life = lives.get(value);
  if (life) lives.set(value, { ...life, last: Math.max(life.last, last) });
}
