/** Runs cases: which room a case belongs to, and what came of a whole folder. */
import type { Device } from "../../src/transforms/devices.ts";
import { activationCall, cellStep, encoderDecoder, layerCall } from "./calls.ts";
import type { Finding } from "./compare.ts";
import { runDecoder } from "./decoders.ts";
import type { OracleCase } from "./format.ts";
import { type Forward, runForward } from "./forward.ts";
import { lossCall, runMetric } from "./losses.ts";
import { onnxCall } from "./onnx.ts";
import { runStateful } from "./stateful.ts";
import { torchCall } from "./torch.ts";
import { runFit, runTraining } from "./training.ts";

/** What came of a case. */
export interface Outcome {
  readonly oracleCase: OracleCase;
  readonly findings: readonly Finding[];
  /** Why it could not be run, where it could not. */
  readonly failure?: string;
}

/** Whether everything that the case expects was there and right. */
export function isHit({ findings, failure }: Outcome): boolean {
  return failure === undefined && findings.length > 0 && findings.every(({ passed }) => passed);
}

/** The pure function of a case that is one call. */
function forwardOf(oracleCase: OracleCase): Forward {
  const { layer } = oracleCase;
  if (layer.startsWith("loss:")) return lossCall(oracleCase);
  if (layer.startsWith("torch.")) return torchCall(oracleCase);
  if (layer.startsWith("onnx.")) return onnxCall(oracleCase);
  if (layer === "activation") return activationCall(oracleCase);
  if (layer === "EncoderDecoder") return encoderDecoder(oracleCase);
  if (/^\w*(Cell|Cells)$/.test(layer)) return cellStep(oracleCase);
  return layerCall(oracleCase);
}

/** Runs a case on a backend. Throws where it cannot be run. */
async function findingsOf(oracleCase: OracleCase, device: Device): Promise<Finding[]> {
  const { layer, fields } = oracleCase;
  if (layer.startsWith("metric:")) return await runMetric(oracleCase, device);
  if (layer.startsWith("decoder:")) return await runDecoder(oracleCase, device);
  if (layer.endsWith(".train")) return await runTraining(oracleCase, device);
  if (layer.endsWith(".fit")) return await runFit(oracleCase, device);
  if (fields.steps !== undefined) return await runStateful(oracleCase, device);
  return await runForward(oracleCase, forwardOf(oracleCase), device);
}

/** Runs a case on a backend; what it throws is why it could not be run. */
export async function runCase(oracleCase: OracleCase, device: Device): Promise<Outcome> {
  try {
    const findings = await findingsOf(oracleCase, device);
    return findings.length > 0
      ? { oracleCase, findings }
      : { oracleCase, findings, failure: "it expects nothing that is compared" };
  } catch (error) {
    return { oracleCase, findings: [], failure: error instanceof Error ? error.message : String(error) };
  }
}
