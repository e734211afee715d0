/**
 * Products of small machines: four columns at a time, with the right operand as it lies, and tables of rows. Terms
 * are summed in blocks of 64, so that rounding does not grow with their number.
 */
import type { Dim } from "../../../src/tensor/dims.ts";
import type { GatherKernel } from "../../lowering/kinds/indexing.ts";
import type { MatmulKernel } from "../../lowering/kinds/product.ts";
import type { View } from "../../lowering/views.ts";
import { type KernelSource, lastOf, plus, times } from "../emit/code.ts";
import { ELEMENTS, type WeightFormat } from "./weights.ts";

/** How an operand is stored, if it is a weight in fewer bits. */
export interface Stored {
  readonly format: WeightFormat;
  /** Its name in C; the scales have `_scale` after it. */
  readonly name: string;
  /** The elements of a row as it is stored. */
  readonly columns: number;
}

/** As it is stored by the program. */
export const plain: Stored = { format: "float32", name: "", columns: 0 };

/** Writes a product, or a batch of them. */
export function emitProduct(
  f: KernelSource,
  { left, right, output, k, addends }: MatmulKernel,
  stored: Stored,
): void {
  const rank = left.shape.length;
  const m = left.shape[rank - 2], n = output.shape[rank - 1];
  const text = (dim: Dim) => f.size(dim);
  const a = f.pointer(left), to = f.pointer(output);
  const [isFloat, scaled] = [stored.format === "float32", stored.format === "int8"];
  const b = isFloat ? f.pointer(right) : plus(stored.name, text(right.offset));
  const strides = (view: View) => view.strides.slice(-2).map(text).join(", ");
  f.loops("i", left.shape.slice(0, -2), (outer) => {
    for (const { first, columns, view } of piecesOf(addends, n)) {
      const place = (base: string, { strides }: View) => plus(base, f.distance(outer, strides));
      const at = times(`${first}`, text(right.strides[rank - 1]));
      const scale = plus(`${stored.name}_scale`, `${scaleOffset(right, stored.columns)}`, `${first}`);
      f.line(
        `product_${stored.format}(${place(a, left)}, ${strides(left)}, ${plus(place(b, right), at)}, ` +
          `${strides(right)}, ${plus(place(to, output), `${first}`)}, ${text(output.strides[rank - 2])}, ${
            text(m)
          }, ` +
          `${text(columns)}, ${text(k)}, ${view ? `${f.pointer(view)}, ${text(view.strides[0])}` : "0, 0"}${
            scaled ? `, ${scale}` : ""
          });`,
      );
    }
  });
}

/** The columns in ranges: those of the addends, or all if there are none. */
function piecesOf(
  addends: MatmulKernel["addends"],
  n: Dim,
): readonly { readonly first: number; readonly columns: Dim; readonly view?: View }[] {
  if (addends.length === 0) return [{ first: 0, columns: n }];
  return addends.map(({ first, view }) => ({ first, columns: view.shape[1], view }));
}

/** The channel that a view of a matrix begins with. */
function scaleOffset({ offset, strides }: View, columns: number): number {
  return strides[1] === 1 ? Number(offset) % columns : Math.floor(Number(offset) / columns);
}

/** Writes rows of a table that is stored in fewer bits. */
export function emitRows(
  f: KernelSource,
  { operand, indices, output }: GatherKernel,
  { format, name }: Stored,
): void {
  const rank = indices.shape.length;
  const index = f.pointer(indices), to = f.pointer(output);
  f.loops("i", indices.shape, (places) => {
    const row = f.name("row");
    f.line(
      `const ${f.indexType} ${row} = clamped(${index}[${f.distance(places, indices.strides)}], ${
        f.size(lastOf(operand.shape[0]))
      });`,
    );
    f.loops("j", operand.shape.slice(1), (rest) => {
      const from = plus(
        f.size(operand.offset),
        times(row, f.size(operand.strides[0])),
        f.distance(rest, operand.strides.slice(1)),
      );
      const value = format === "int8" ? `${name}[${from}] * ${name}_scale[${row}]` : `half(${name}[${from}])`;
      f.line(
        `${to}[${
          plus(f.distance(places, output.strides), f.distance(rest, output.strides.slice(rank)))
        }] = ${value};`,
      );
    });
  });
}

/** The function of products whose right operand is stored so. */
export function productSource(format: WeightFormat): string {
  const { type } = ELEMENTS[format];
  const scales = format === "int8";
  const value = (at: string) => format === "float16" ? `half(${at})` : at;
  const scaled = (sum: string, column: string) => scales ? `${sum} * scale[${column}]` : sum;
  return `/* out[m][n] = a[m][k] b[k][n] + added; strides are between rows, and between columns. */
__attribute__((unused)) static void product_${format}(
    const float *a, int32_t a_row, int32_t a_column, const ${type} *b, int32_t b_row, int32_t b_column,
    float *out, int32_t out_row, int32_t m, int32_t n, int32_t k, const float *added, int32_t added_row${
    scales ? ", const float *scale" : ""
  }) {
  const int32_t whole = n - n % 4;
  for (int32_t i = 0; i < m; i++) {
    const float *x = a + i * a_row;
    float *to = out + i * out_row;
    const float *more = added ? added + i * added_row : 0; /* may be what is written */
    for (int32_t j = 0; j < whole; j += 4) {
      float sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
      for (int32_t first = 0; first < k; first += 64) {
        const int32_t last = first + 64 < k ? first + 64 : k;
        float part0 = 0, part1 = 0, part2 = 0, part3 = 0;
        for (int32_t p = first; p < last; p++) {
          const ${type} *row = b + p * b_row + j * b_column;
          part0 += x[p * a_column] * ${value("row[0]")};
          part1 += x[p * a_column] * ${value("row[b_column]")};
          part2 += x[p * a_column] * ${value("row[2 * b_column]")};
          part3 += x[p * a_column] * ${value("row[3 * b_column]")};
        }
        sum0 += part0, sum1 += part1, sum2 += part2, sum3 += part3;
      }
      to[j] = ${scaled("sum0", "j")} + (more ? more[j] : 0);
      to[j + 1] = ${scaled("sum1", "j + 1")} + (more ? more[j + 1] : 0);
      to[j + 2] = ${scaled("sum2", "j + 2")} + (more ? more[j + 2] : 0);
      to[j + 3] = ${scaled("sum3", "j + 3")} + (more ? more[j + 3] : 0);
    }
    for (int32_t j = whole; j < n; j++) {
      float sum = 0;
      for (int32_t first = 0; first < k; first += 64) {
        const int32_t last = first + 64 < k ? first + 64 : k;
        float part = 0;
        for (int32_t p = first; p < last; p++) {
          part += x[p * a_column] * ${value("b[p * b_row + j * b_column]")};
        }
        sum += part;
      }
      to[j] = ${scaled("sum", "j")} + (more ? more[j] : 0);
    }
  }
}
`;
}

/** A float of 16 bits as one of 32. */
export const HALF = `__attribute__((unused)) static float half(uint16_t bits) {
  const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, rest = bits & 0x7fff;
  if (rest < 0x400) return (sign ? -1.0f : 1.0f) * (float)rest * 5.9604644775390625e-8f;
  return float_of((int32_t)(sign | (rest < 0x7c00 ? (rest << 13) + 0x38000000u : (rest << 13) + 0x70000000u)));
}
`;
