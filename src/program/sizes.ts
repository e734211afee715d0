/** A Program with its open sizes replaced by their values. */
import { type Bindings, type Dim, evaluateDim, evaluateShape } from "../tensor/dims.ts";
import type { Attributes, Equation, OperationName, Program, Value } from "./types.ts";

/** The attributes that contain sizes, with these evaluated; other operations keep theirs. */
const evaluated: {
  readonly [Name in OperationName]?: (
    attributes: Attributes[Name],
    dim: (dim: Dim) => number,
    program: (program: Program) => Program,
  ) => Attributes[Name];
} = {
  iota: ({ shape, ...rest }, dim) => ({ ...rest, shape: shape.map(dim) }),
  size: ({ dim: size, ...rest }, dim) => ({ ...rest, dim: dim(size) }),
  randomBits: ({ shape }, dim) => ({ shape: shape.map(dim) }),
  broadcast: ({ shape, ...rest }, dim) => ({ ...rest, shape: shape.map(dim) }),
  reshape: ({ shape }, dim) => ({ shape: shape.map(dim) }),
  slice: ({ start, size, ...rest }, dim) => ({ ...rest, start: start.map(dim), size: size.map(dim) }),
  pad: ({ low, high, ...rest }, dim) => ({ ...rest, low: low.map(dim), high: high.map(dim) }),
  windows: ({ size, ...rest }, dim) => ({ ...rest, size: dim(size) }),
  convolve: ({ sizes, ...rest }, dim) => ({ ...rest, sizes: sizes.map(dim) }),
  scatterAdd: ({ rows }, dim) => ({ rows: dim(rows) }),
  scan: ({ length, body, ...rest }, dim, program) => ({ ...rest, length: dim(length), body: program(body) }),
};

/** The Program for these sizes. */
export function withSizes(program: Program, bindings: Bindings): Program {
  if (Object.keys(bindings).length === 0) return program;
  const values = new Map<Value, Value>();
  const valueOf = (value: Value): Value => {
    let fixed = values.get(value);
    if (!fixed) values.set(value, fixed = { ...value, shape: evaluateShape(value.shape, bindings) });
    return fixed;
  };
  const fix = (program: Program): Program => ({
    inputs: program.inputs.map(valueOf),
    equations: program.equations.map((equation): Equation => {
      const rule = evaluated[equation.operation.name] as
        | ((
          attributes: unknown,
          dim: (dim: Dim) => number,
          program: (program: Program) => Program,
        ) => unknown)
        | undefined; // of this very operation
      return {
        ...equation,
        inputs: equation.inputs.map(valueOf),
        attributes: rule
          ? rule(equation.attributes, (dim) => evaluateDim(dim, bindings), fix)
          : equation.attributes,
        outputs: equation.outputs.map(valueOf),
      } as Equation;
    }),
    outputs: program.outputs.map(valueOf),
  });
  return fix(program);
}
