/**
 * The reference backend: plain loops, obviously right, and the oracle for every other backend. It runs
 * everywhere, knows every primitive and every dtype, and also answers eager calls. It has no threads and no
 * fusion.
 */
import type { Backend, DeviceEntry } from "../backend.ts";
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
  upload: ({ data, shape, dtype }) => Promise.resolve(new ReferenceTensor(data.slice(), shape, dtype)),
};

/** The device, for the list of all devices. */
export const referenceDevice: DeviceEntry = { backend: reference, optionNames: [] };
