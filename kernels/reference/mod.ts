/**
 * The reference backend: plain loops, obviously right, and the oracle for every other backend. It runs
 * everywhere, knows every primitive and every dtype, and also answers eager calls. It has no threads and no
 * fusion.
 */
import type { Backend, DeviceEntry } from "../backend.ts";
import { checkFilled } from "../../src/tensor/filled.ts";

import { DEVICE, ReferenceTensor } from "./device_tensor.ts";
import { ReferenceExecutable } from "./executable.ts";

export { type Application, evaluate, runProgram } from "./execute.ts";

/** Plain loops on this thread. */
export const reference: Backend = {
  name: DEVICE,
  available: () => Promise.resolve(true),
  missing: () => Promise.resolve(undefined),
  supports: () => true,
  // async, so that every error is a rejection
  // deno-lint-ignore require-await
  compile: async (program, options) => new ReferenceExecutable(program, options),
  // async, so that every error is a rejection
  // deno-lint-ignore require-await
  upload: async (tensor) => {
    checkFilled(tensor, () => "a tensor on reference");
    return new ReferenceTensor(tensor.data.slice(), tensor.shape, tensor.dtype);
  },
};

/** The device, for the list of all devices. */
export const referenceDevice: DeviceEntry = { backend: reference, optionNames: [] };
