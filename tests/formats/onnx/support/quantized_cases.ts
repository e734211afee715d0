/** Quantized models with what onnxruntime computes, which ../python/quantized.py wrote. */
import { fixtureText } from "./fixtures.ts";

/** A tensor as the script lists it. */
export interface Listed {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** A model of one input and one output. */
export interface QuantizedCase {
  readonly name: string;
  /** The file, in base64. */
  readonly model: string;
  readonly x: Listed;
  /** What onnxruntime computes. */
  readonly y: Listed;
  /** The same with a float LSTM of the dequantized weights. */
  readonly exact?: Listed;
}

/** The cases. */
export async function quantizedCases(): Promise<QuantizedCase[]> {
  return JSON.parse(await fixtureText("quantized.json.gz")); // as the script wrote it
}

/** The file of a case. */
export function fileOfCase({ model }: QuantizedCase): Uint8Array {
  return Uint8Array.fromBase64(model);
}
