/** A training run that is killed at random moments and resumed: whether it ends as it would have. */
import { killAndResume } from "../../tests/training/interrupted/kill.ts";
import { timed, type Trial } from "../support/messages.ts";
import type { KilledTask } from "../support/tasks.ts";

/** A trial of one run; its time is that between two kills. */
export function killedTrial({ moments, seed }: KilledTask, device: string | undefined): Trial {
  return {
    run: async () => {
      let values = {};
      const total = await timed(1, async () => {
        const { killed, runs, different } = await killAndResume({ moments, seed, device });
        values = {
          "kills": killed,
          "runs brought to their end": runs,
          "runs that ended otherwise": different,
        };
      });
      return { time: total / moments, values };
    },
    [Symbol.dispose]: () => {},
  };
}
