/** All supported operators, by name. */
import type { Operators } from "../operator.ts";
import { convolutionOperators } from "./convolution.ts";
import { attentionOperators } from "./attention.ts";
import { controlOperators } from "./control.ts";
import { elementwiseOperators } from "./elementwise.ts";
import { functionOperators } from "./functions.ts";
import { fusedOperators } from "./fused.ts";
import { indexingOperators } from "./indexing.ts";
import { matrixOperators } from "./matrix.ts";
import { normalizationOperators } from "./normalization.ts";
import { orderingOperators } from "./ordering.ts";
import { padding } from "./padding.ts";
import { placeOperators } from "./places.ts";
import { poolingOperators } from "./pooling.ts";
import { quantizationOperators } from "./quantization.ts";
import { quantizedConvolutionOperators } from "./quantized_convolution.ts";
import { randomOperators } from "./random.ts";
import { rearrangingOperators } from "./rearranging.ts";
import { recurrentOperators } from "./recurrent.ts";
import { reductionOperators } from "./reductions.ts";
import { resizeOperators } from "./resize.ts";
import { scanOperators } from "./scan.ts";
import { sequenceOperators } from "./sequences.ts";
import { scatteringOperators } from "./scattering.ts";
import { shapeOperators } from "./shape.ts";
import { signalOperators } from "./signals.ts";

/** The supported operators, those of onnxruntime with their domain before the name. */
export const operators: Operators = {
  ...convolutionOperators,
  ...attentionOperators,
  ...controlOperators,
  ...elementwiseOperators,
  ...functionOperators,
  ...fusedOperators,
  ...indexingOperators,
  ...matrixOperators,
  ...normalizationOperators,
  ...orderingOperators,
  ...padding,
  ...placeOperators,
  ...poolingOperators,
  ...quantizationOperators,
  ...quantizedConvolutionOperators,
  ...randomOperators,
  ...rearrangingOperators,
  ...recurrentOperators,
  ...reductionOperators,
  ...resizeOperators,
  ...scanOperators,
  ...sequenceOperators,
  ...scatteringOperators,
  ...shapeOperators,
  ...signalOperators,
};
