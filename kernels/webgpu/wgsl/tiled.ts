/**
 * Large matrix products on a GPU: a workgroup computes a block of 64 rows and columns, of which each of its
 * 256 invocations holds 4 by 4 in registers. Both operands pass through workgroup memory, 16 terms at a time,
 * as vectors of four: each element read from the device's memory serves 64 sums.
 */
import type { Dim } from "../../../src/tensor/dims.ts";
import type { Sizes } from "../../lowering/kinds/kind.ts";
import type { MatmulKernel } from "../../lowering/kinds/product.ts";
import { load, type Locations, store } from "./address.ts";
import { groupsOf } from "./table.ts";
import type { FunctionWriter } from "./writer.ts";

/** Rows and columns of a block, and terms per pass. */
export const BLOCK = 64, TERMS = 16;

/** The invocations of a workgroup that computes a block, and the bytes of its memory. */
export const BLOCK_INVOCATIONS = 256, BLOCK_BYTES = 8192;

/** Rows and columns per invocation. */
const OWN = 4;

/** The declarations that a module with such products needs. */
export const BLOCK_MEMORY = [
  `var<workgroup> leftBlock: array<vec4<f32>, ${TERMS * BLOCK / 4}>;`,
  `var<workgroup> rightBlock: array<vec4<f32>, ${TERMS * BLOCK / 4}>;`,
].join("\n");

/** How many blocks a product has. */
export function blocksOf({ output }: MatmulKernel, { of }: Sizes): number {
  const [m, n] = output.shape;
  return groupsOf(of(m), BLOCK) * groupsOf(of(n), BLOCK);
}

/** Writes the body of a function `(group: i32, groups: i32, lane: i32)` of a product. */
export function writeTiled(
  f: FunctionWriter,
  kernel: MatmulKernel,
  parts: readonly number[],
  memory: Locations,
): void {
  const { left, right, output, k, addends } = kernel;
  const [m, n] = output.shape;
  const across = f.table.groups(n, BLOCK), down = f.table.groups(m, BLOCK);
  const terms = f.size(k);
  // From the innermost: what is summed of a block of terms, of a part, of all.
  const levels = parts.toReversed();
  const names = ["sums", "parts", "wholes"].slice(0, levels.length + 1);
  const four = [0, 1, 2, 3];
  f.need("blocks");

  f.lines(`let ownRow = lane / ${BLOCK / OWN};`, `let ownColumn = lane % ${BLOCK / OWN};`);
  f.block(`for (var block = group; block < ${down} * ${across}; block += groups)`, () => {
    f.lines(
      `let firstRow = (block / ${across}) * ${BLOCK};`,
      `let firstColumn = (block % ${across}) * ${BLOCK};`,
    );
    for (const name of names) for (const row of four) f.line(`var ${name}${row} = vec4<f32>();`);
    f.block(`for (var term = 0; term < ${terms}; term += ${TERMS})`, () => {
      // An invocation loads one vector of each operand: four rows of a term, and four columns of a term.
      f.lines(
        `let leftTerm = term + lane % ${TERMS};`,
        `let rows = firstRow + (lane / ${TERMS}) * ${OWN};`,
        `let rightTerm = term + lane / ${BLOCK / OWN};`,
        `let columns = firstColumn + ownColumn * ${OWN};`,
      );
      const bring = (name: string, element: (index: number) => { value: string; inside: string[] }) => {
        f.line(`var ${name} = vec4<f32>();`);
        for (const index of four) {
          const { value, inside } = element(index);
          const text = `${name}[${index}] = ${value};`;
          f.line(inside.length === 0 ? text : `if (${inside.join(" && ")}) { ${text} }`);
        }
      };
      const below = (text: string, end: Dim, step: number) =>
        typeof end === "number" && end % step === 0 ? [] : [`${text} < ${f.size(end)}`];
      bring("leftVector", (index) => ({
        value: load(left, [`(rows + ${index})`, "leftTerm"], memory),
        inside: [...below(`rows + ${index}`, m, BLOCK), ...below("leftTerm", k, TERMS)],
      }));
      bring("rightVector", (index) => ({
        value: load(right, ["rightTerm", `(columns + ${index})`], memory),
        inside: [...below(`columns + ${index}`, n, BLOCK), ...below("rightTerm", k, TERMS)],
      }));
      f.lines(
        `leftBlock[(lane % ${TERMS}) * ${BLOCK / 4} + lane / ${TERMS}] = leftVector;`,
        "rightBlock[lane] = rightVector;",
        "workgroupBarrier();",
      );
      f.block(`for (var inner = 0; inner < ${TERMS}; inner++)`, () => {
        f.lines(
          `let a = leftBlock[inner * ${BLOCK / 4} + ownRow];`,
          `let b = rightBlock[inner * ${BLOCK / 4} + ownColumn];`,
          ...four.map((row) => `sums${row} = fma(vec4<f32>(a[${row}]), b, sums${row});`),
        );
      });
      f.line("workgroupBarrier();");
      levels.forEach((size, level) => {
        f.block(`if ((term + ${TERMS}) % ${size} == 0 || term + ${TERMS} >= ${terms})`, () => {
          for (const row of four) {
            const from = `${names[level]}${row}`;
            f.lines(`${names[level + 1]}${row} += ${from};`, `${from} = vec4<f32>();`);
          }
        });
      });
    });
    const whole = names[levels.length];
    for (const row of four) {
      for (const column of four) {
        const at = [
          `(firstRow + ownRow * ${OWN} + ${row})`,
          `(firstColumn + ownColumn * ${OWN} + ${column})`,
        ];
        f.block(`if (${at[0]} < ${f.size(m)} && ${at[1]} < ${f.size(n)})`, () => {
          const sum = f.variable(`${whole}${row}[${column}]`);
          for (const { first, view } of addends) {
            const place = first === 0 ? at[1] : `(${at[1]} - ${first})`;
            const add = `${sum} += ${load(view, [at[0], place], memory)};`;
            const isAll = first === 0 && view.shape[1] === n;
            f.line(
              isAll ? add : `if (${at[1]} >= ${first} && ${at[1]} < ${first + view.shape[1]}) { ${add} }`,
            );
          }
          f.line(store(output, at, sum, memory));
        });
      }
    }
  });
}
