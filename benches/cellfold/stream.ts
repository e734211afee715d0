/** One step at a time through streams with a carried state: one, from array to array, and many together. */
import {
  type Device,
  gru,
  type HostTensor,
  init,
  key,
  spec,
  streaming,
  streams,
  type Tensor,
} from "@cellfold/cellfold";
import { noise } from "../../examples/support/section.ts";
import { multiplyAddCeiling } from "../support/ceiling.ts";
import { repeated, timed, type Trial } from "../support/messages.ts";
import { median } from "../support/statistics.ts";
import type { SessionsTask, StepIntoTask, StreamTask } from "../support/tasks.ts";

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

/** A trial of steps from array to array; `gc` is there where V8 was asked for it. */
export async function stepIntoTrial(
  { features, units, steps }: StepIntoTask,
  device: Device | undefined,
): Promise<Trial> {
  const layer = gru({ units, returnSequences: true });
  const input = spec([1, null, features]);
  const stream = streaming(layer, init(layer, key(0), input), { input, device });
  await stream.ready();
  const x = new Float32Array(features).fill(0.5), y = new Float32Array(units);
  const many = () => {
    for (let step = 0; step < steps; step++) stream.step(x, y);
  };
  many(); // until it is optimized
  const { gc } = globalThis as { readonly gc?: () => void };
  return {
    run: () => {
      gc?.();
      const before = Deno.memoryUsage().heapUsed;
      const began = performance.now();
      many();
      const time = (performance.now() - began) / steps;
      const allocated = Math.round((Deno.memoryUsage().heapUsed - before) / steps);
      return Promise.resolve({ time, values: { "allocated": allocated } });
    },
    [Symbol.dispose]: () => stream[Symbol.dispose](),
  };
}

/** How often the two take turns in a run. */
const ROUNDS = 15;

/** A trial of one step of all sessions. */
export async function sessionsTrial(
  { features, units, sessions }: SessionsTask,
  device: Device | undefined,
): Promise<Trial> {
  const layer = gru({ units, returnSequences: true });
  const input = spec([1, null, features]);
  const variables = init(layer, key(0), input);
  const held = new DisposableStack();
  const together = held.use(streams(layer, variables, { capacity: sessions, input, device }));
  const alone = Array.from(
    { length: sessions },
    (): readonly [{ step(input: Tensor): Promise<unknown> }, HostTensor] => {
      together.join();
      return [held.use(streaming(layer, variables, { input, device })), noise([1, features])];
    },
  );
  const batch = noise([sessions, features]);
  const calls = [
    () => together.step(batch),
    async () => {
      for (const [stream, x] of alone) await stream.step(x);
    },
  ];
  for (const call of calls) await timed(3, call);
  return {
    run: async () => {
      const times: number[][] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        for (const [index, call] of calls.entries()) times[index].push(await timed(10, call));
      }
      const [time, oneByOne] = times.map(median);
      const products = 2 * sessions * (features + units) * 3 * units / multiplyAddCeiling() / 1e6;
      return {
        time,
        values: {
          "time, by that one by one": time / oneByOne,
          "its products at the rate of multiply-adds in registers, by the time one by one": products /
            oneByOne,
        },
      };
    },
    [Symbol.dispose]: () => held.dispose(),
  };
}
