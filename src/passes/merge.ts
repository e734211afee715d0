/**
 * Merge: in the body of a scan, products that share their left operand become one over concatenated columns,
 * and a product of a concatenation is split if one part can leave the loop. Derivatives of merged products
 * are merged products, so this runs before differentiation too.
 */
import { add } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { foldFlat } from "../operations/scan.ts";
import { concat, sliceAxis } from "../operations/structure.ts";
import { replay, tensorOf } from "../program/trace.ts";
import { type Equation, type EquationOf, isEquation, type Program, type Value } from "../program/types.ts";
import { addDims, type Dim } from "../tensor/dims.ts";
import { printSpec, type Tensor } from "../tensor/tensor.ts";
import { type Level, levelsOf } from "./levels.ts";
import { makersOf, type Note, rewrite, rewriteBodies, type Rewriter } from "./rewrite.ts";

type Product = EquationOf<"matmul">;

/** Merges products in the bodies of all scans. */
export function merge(program: Program, note: Note): Program {
  return rewrite(program, (equation, operands, emitAgain) => {
    if (!isEquation(equation, "scan")) return emitAgain();
    return writeScan(withBody(equation, merge(equation.attributes.body, note)), operands, note);
  });
}

/** Splits products of concatenations in the bodies of all scans, if a part can leave the loop. */
export function takeProductsApart(program: Program, note: Note): Program {
  return rewriteBodies(
    program,
    (body, attributes) => rewrite(body, takeApart(body, levelsOf(attributes), note)),
  );
}

function withBody(equation: EquationOf<"scan">, body: Program): EquationOf<"scan"> {
  return { ...equation, attributes: { ...equation.attributes, body } };
}

/** A rewriter for the body of a scan, made after inspecting all of it. */
type BodyRewriter = (body: Program, levels: ReadonlyMap<Value, Level>, note: Note) => Rewriter;

/** Splits products of a concatenation if one part is known before the loop and another is not. */
const takeApart: BodyRewriter = (body, levels, note) => {
  const makers = makersOf(body);
  return (equation, operands, emitAgain) => {
    if (!isEquation(equation, "matmul") || equation.attributes.transposeLeft) return emitAgain();
    const parts = makers.get(equation.inputs[0]);
    if (
      !isEquation(parts, "concat") || parts.attributes.axis !== 1 || equation.inputs[0].shape.length !== 2
    ) return emitAgain();
    if (new Set(parts.inputs.map((value) => levels.get(value) === "step")).size < 2) return emitAgain();
    const { transposeRight } = equation.attributes;
    note(
      `took ${
        printSpec(equation.outputs[0])
      } apart, a product of ${parts.inputs.length} parts of a concatenation`,
    );
    let from: Dim = 0;
    const products = parts.inputs.map((part) => {
      const size = part.shape[1];
      const left = sliceAxis(operands[0], 1, from, size);
      const right = sliceAxis(operands[1], transposeRight ? 1 : 0, from, size);
      from = addDims(from, size);
      return matmul(left, right, { transposeRight });
    });
    return [products.reduce((a, b) => add(a, b))];
  };
};

/** Products of the body that share their left operand and have constant right ones. */
function sharedLeft(body: Program, levels: ReadonlyMap<Value, Level>): Product[][] {
  const groups = new Map<Value, Map<boolean, Product[]>>();
  for (const equation of body.equations) {
    if (!isEquation(equation, "matmul") || equation.attributes.transposeLeft) continue;
    const [left, right] = equation.inputs;
    if (left.shape.length !== 2 || levels.get(right) !== "constant" || levels.get(left) === "constant") {
      continue;
    }
    const byRight = groups.get(left) ?? new Map<boolean, Product[]>();
    groups.set(left, byRight);
    const list = byRight.get(equation.attributes.transposeRight) ?? [];
    byRight.set(equation.attributes.transposeRight, list);
    list.push(equation);
  }
  return [...groups.values()].flatMap((byRight) => [...byRight.values()]).filter((group) => group.length > 1);
}

/** Records the scan with the products of each group merged. */
function writeScan(equation: EquationOf<"scan">, operands: readonly Tensor[], note: Note): Tensor[] {
  const { body, constants, carries, ...options } = equation.attributes;
  const groups = sharedLeft(body, levelsOf(equation.attributes));
  const groupOf = new Map<Equation, Product[]>(
    groups.flatMap((group) => group.map((product) => [product, group] as const)),
  );
  const merged = new Map<Product[], Tensor>();
  const { carries: finals, outputs } = foldFlat(
    operands.slice(constants, constants + carries),
    operands.slice(constants + carries),
    (carryTensors, steps) => {
      const tensors = replay(
        body,
        [...operands.slice(0, constants), ...carryTensors, ...steps],
        (inner, inputs, emitAgain) => {
          const group = groupOf.get(inner);
          if (!group) return emitAgain();
          const { transposeRight } = group[0].attributes;
          const columns = transposeRight ? 0 : 1;
          let whole = merged.get(group);
          if (!whole) {
            const rights = group.map((product) => rightOf(product, body, operands, constants));
            if (rights.some((right) => right === undefined)) return emitAgain();
            whole = matmul(inputs[0], concat(rights as Tensor[], { axis: columns }), { transposeRight }); // none is undefined
            merged.set(group, whole);
            note(`merged ${group.length} products of a scan into ${printSpec(whole)}`);
          }
          const before = group.slice(0, group.findIndex((product) => product === inner));
          const from = before.reduce<Dim>(
            (sum, product) => addDims(sum, product.inputs[1].shape[columns]),
            0,
          );
          return [sliceAxis(whole, 1, from, inner.inputs[1].shape[columns])];
        },
      );
      const get = (value: Value) => tensorOf(tensors, value);
      return {
        carries: body.outputs.slice(0, carries).map(get),
        outputs: body.outputs.slice(carries).map(get),
        result: undefined,
      };
    },
    options,
  );
  return [...finals, ...outputs];
}

/** The right operand outside the loop, if it is a constant of the scan. */
function rightOf(
  product: Product,
  body: Program,
  operands: readonly Tensor[],
  constants: number,
): Tensor | undefined {
  const index = body.inputs.indexOf(product.inputs[1]);
  return index >= 0 && index < constants ? operands[index] : undefined;
}
