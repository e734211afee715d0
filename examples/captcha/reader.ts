/** A reader of text in pictures, in an ONNX file of ddddocr's form: convolutions, an LSTM both ways, classes of CTC. */
import * as cf from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { HEIGHT, LONGEST, WIDTH } from "./pictures.ts";
import type { Published } from "./published.ts";

/** What the file has. */
export interface Reader {
  /** From pictures `[batch, 1, 64, 160]` to logits `[batch, 20, classes]`. */
  readonly model: cf.Layer<cf.Tensor>;
  readonly variables: cf.Variables;
  /** The character of each class; that of the blank, 0, is empty. */
  readonly charset: readonly string[];
  /** Labels of texts, int32 `[texts, 5]`, filled with -1. */
  labelsOf(texts: readonly string[]): cf.HostTensor;
  /** The text of labels. */
  textOf(labels: readonly number[]): string;
}

/** Reads a file with the input `input1` and the output `387`, which has the time first. */
export function readReader({ file, charset }: Published): Reader {
  const { model, variables } = fromOnnx(file, {
    shapes: { input1: [null, 1, HEIGHT, WIDTH] }, // the file declares one picture of any width
    batchAxis: { 387: 1 },
  });
  const labelOf = (character: string | undefined): number => {
    if (character === undefined) return -1;
    const label = charset.indexOf(character);
    if (label > 0) return label;
    throw new RangeError(`Cannot label ${character}: the charset does not have it`);
  };
  return {
    model: model as cf.Layer<cf.Tensor>, // it has one output
    variables,
    charset,
    labelsOf: (texts) =>
      cf.tensor(
        texts.map((text) => Array.from({ length: LONGEST }, (_, i) => labelOf(text[i]))),
        { dtype: "int32" },
      ),
    textOf: (labels) => labels.map((label) => charset[label]).join(""),
  };
}
