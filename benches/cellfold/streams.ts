/** Many streams of one model: what they hold, and how long one more takes to open. */
import { countParams, type Device, init, key, lstm, spec, type Stream, streaming } from "@cellfold/cellfold";
import { noise } from "../../examples/support/section.ts";
import { timed, type Trial } from "../support/messages.ts";
import { median } from "../support/statistics.ts";
import type { StreamsTask } from "../support/tasks.ts";
import { collectAll, heldBytes } from "./memory.ts";

const BYTES = Float32Array.BYTES_PER_ELEMENT;
/** What a stream may hold besides its state. */
const ALLOWED = 8 << 10;

/** Steps a small stream for a while: the engine's first run of everything, and its threads, take memory as well. */
async function warmUp(device: Device | undefined): Promise<void> {
  const model = lstm({ units: 256, returnSequences: true });
  using stream = streaming(model, init(model, key(0), spec([null, null, 256])), { device });
  const x = noise([1, 256], 1);
  for (const start = performance.now(); performance.now() - start < WARM_UP_MILLISECONDS;) {
    await stream.step(x);
  }
}

/**
 * A trial of one run. Its time is that of a step. Opening is everything up to the output of the first step, less the
 * median of later steps; memory is what is held beyond the weights that the program itself has on the host, and the
 * engine that runs another stream already.
 */
export function streamsTrial(
  { features, units, streams: count }: StreamsTask,
  device: Device | undefined,
): Trial {
  const model = lstm({ units, returnSequences: true, recurrentInitializer: "glorotUniform" });
  const variables = init(model, key(0), spec([null, null, features]));
  const x = noise([1, features], 1);
  const streams: Stream[] = [];
  const open = async () => {
    const stream = streaming(model, variables, { device });
    streams.push(stream);
    await stream.step(x);
  };
  return {
    run: async () => {
      await warmUp(device);
      await collectAll();
      const before = heldBytes();
      await timed(1, open);
      await collectAll();
      const ofFirst = heldBytes() - before;
      const opened: number[] = [];
      const steps: number[] = [];
      while (streams.length < count) {
        const first = await timed(1, open);
        const later: number[] = [];
        for (let step = 0; step < LATER; step++) {
          later.push(await timed(1, () => streams[streams.length - 1].step(x)));
        }
        opened.push(first - median(later));
        steps.push(median(later));
      }
      await collectAll();
      const held = heldBytes() - before;
      const weights = countParams(model, variables).total * BYTES;
      const state = 2 * units * BYTES;
      return {
        time: median(steps),
        values: {
          "held by all, by what they may": held / (1.3 * (weights + count * (state + ALLOWED))),
          "bytes held": held,
          "by the first, with the weights": ofFirst,
          "by each of the others": (held - ofFirst) / (count - 1),
          "one more stream opens in": median(opened),
          "the second opened in, in ms": opened[0],
        },
      };
    },
    [Symbol.dispose]: () => {
      for (const stream of streams) stream[Symbol.dispose]();
    },
  };
}

/** Threads start once calls have taken a moment. */
const WARM_UP_MILLISECONDS = 1000;

/** How many steps follow the first of a stream. */
const LATER = 5;
