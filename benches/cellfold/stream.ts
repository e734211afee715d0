/** One step at a time through a stream with a carried state. */
import { type Device, gru, init, key, spec, streaming } from "@cellfold/cellfold";
import { noise } from "../../examples/support/section.ts";
import { repeated, type Trial } from "../support/messages.ts";
import type { StreamTask } from "../support/tasks.ts";

/** A trial that processes one step of one sequence. */
export async function streamTrial(
  { features, units }: StreamTask,
  device: Device | undefined,
): Promise<Trial> {
  const layer = gru({ units, returnSequences: true });
  const variables = init(layer, key(0), spec([null, null, features]));
  const stream = streaming(layer, variables, { device });
  const chunk = noise([1, 1, features]);
  return await repeated(() => stream.push(chunk), () => stream[Symbol.dispose]());
}
