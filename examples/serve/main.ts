/**
 * Serving many sessions over HTTP: each visitor has a state of its own, and all are stepped together.
 *
 *     deno run --allow-net=127.0.0.1 examples/serve/main.ts
 *
 * Takes about 10 seconds on two cores, which the server (server.ts) and its clients (client.ts) share; prints steps per
 * second and their times for 1, 16 and 128 sessions, and that each session gets what a stream of its own gives. The
 * sessions are pumps whose pressure, made up by a seeded generator, a GRU expects. With `--picture FILE` (and
 * --allow-write=FILE) it draws the times; `--small` takes 3 seconds.
 */
import * as cf from "@cellfold/cellfold";
import { type ProgramOptions, programOptions, writePicture } from "../support/program.ts";
import { claim } from "../support/section.ts";
import { measure, type Measured, printMeasured } from "./client.ts";
import { input, trainPumpModel } from "./model.ts";
import { createServer } from "./server.ts";

/** Runs the program; gives how many requests a step had in the mean, with the most sessions. */
export async function main(options: ProgramOptions = {}): Promise<{ together: number; compared: number }> {
  const { small = false, log = console.log } = options;
  const { model, variables } = await trainPumpModel();
  const counts = small ? [1, 8] : [1, 16, 128];
  const steps = small ? 20 : 100;
  using server = createServer(model, variables, { capacity: Math.max(...counts) });
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, server.handle);
  const measured: Measured[] = [];
  let [together, compared] = [0, 0];
  try {
    const address = `http://127.0.0.1:${http.addr.port}`;
    await measure(address, 1, 5); // compiles
    for (const count of counts) {
      const before = { ...server.made };
      measured.push(await measure(address, count, steps));
      together = (server.made.requests - before.requests) / (server.made.steps - before.steps);
      log(`${printMeasured(measured[measured.length - 1])}; ${together.toFixed(1)} requests in one step`);
    }
  } finally {
    await http.shutdown();
  }

  using alone = cf.streaming(model, variables, { input });
  await alone.ready();
  let largest = 0;
  const [from, to] = [new Float32Array(1), new Float32Array(1)];
  for (const { sent, got } of measured.flatMap(({ sessions }) => sessions)) {
    alone.reset();
    sent.forEach((value, step) => {
      from[0] = value;
      alone.step(from, to);
      largest = Math.max(largest, Math.abs(to[0] - got[step]));
      compared++;
    });
  }
  claim(
    log,
    largest === 0,
    `all ${compared} answers are those of a stream of one's own: they differ by ${largest}`,
  );
  claim(log, together > 1, "sessions share their steps");

  await writePicture(options, ({ plotCurves }) => {
    const percentiles = ({ milliseconds }: Measured) =>
      Array.from(
        { length: 99 },
        (_, i) => milliseconds[Math.floor((milliseconds.length - 1) * (i + 1) / 100)],
      );
    return plotCurves(
      measured.map((one) => ({ name: `sessions: ${one.sessions.length}`, values: percentiles(one) })),
      {
        title: "How long a step takes over HTTP, on two cores",
        xLabel: "percent of the steps that are as fast or faster",
        yLabel: "milliseconds",
      },
    );
  });
  return { together, compared };
}

if (import.meta.main) await main(programOptions(Deno.args));
