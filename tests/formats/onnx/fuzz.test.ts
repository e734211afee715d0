import { onnx } from "../fuzz/onnx.ts";
import { fuzzEach } from "../fuzz/target.ts";

Deno.test("mutated ONNX files are read or refused with an OnnxError", () => fuzzEach(onnx, 1000));
