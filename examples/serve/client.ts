/**
 * A client that measures a server of sessions: so many at once, each step of which waits for the answer to the last.
 *
 *     deno run --allow-net=127.0.0.1 examples/serve/client.ts http://127.0.0.1:8000 64
 *
 * Takes a second or two, and prints steps per second and how long a step takes, for so many sessions.
 */
import { makePressure } from "../support/pump.ts";

/** What a client measured. */
export interface Measured {
  /** What each session sent, and what it got. */
  readonly sessions: readonly { readonly sent: Float32Array; readonly got: Float32Array }[];
  /** Milliseconds of each step, from the fastest to the slowest. */
  readonly milliseconds: readonly number[];
  readonly stepsPerSecond: number;
}

async function ask(url: string, method: string, body?: unknown): Promise<Response> {
  const response = await fetch(url, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!response.ok) throw new Error(`Cannot ${method} ${url}: ${response.status}, ${await response.text()}`);
  return response;
}

/** Opens sessions, sends each the pressure of a pump of its own, and closes them. */
export async function measure(server: string, sessions: number, steps: number): Promise<Measured> {
  const milliseconds: number[] = [];
  const visit = async (seed: number) => {
    const { id } = await (await ask(`${server}/sessions`, "POST")).json();
    const sent = makePressure(steps, { seed }).values;
    const got = new Float32Array(steps);
    for (let step = 0; step < steps; step++) {
      const begun = performance.now();
      got[step] = await (await ask(`${server}/sessions/${id}`, "POST", sent[step])).json();
      milliseconds.push(performance.now() - begun);
    }
    await ask(`${server}/sessions/${id}`, "DELETE").then((response) => response.body?.cancel());
    return { sent, got };
  };
  const begun = performance.now();
  const visits = await Promise.all(Array.from({ length: sessions }, (_, index) => visit(100 + index)));
  const stepsPerSecond = 1000 * sessions * steps / (performance.now() - begun);
  return { sessions: visits, milliseconds: milliseconds.sort((a, b) => a - b), stepsPerSecond };
}

/** What was measured, in a line. */
export function printMeasured({ sessions, milliseconds, stepsPerSecond }: Measured): string {
  const percentile = (percent: number) =>
    milliseconds[Math.floor((milliseconds.length - 1) * percent / 100)].toFixed(1);
  return `sessions: ${sessions.length}, steps a second: ${stepsPerSecond.toFixed(0)}; a step takes ` +
    `${percentile(50)} ms, the slowest in a hundred ${percentile(99)} ms`;
}

if (import.meta.main) {
  const [server = "http://127.0.0.1:8000", sessions = "64"] = Deno.args;
  console.log(printMeasured(await measure(server, Number(sessions), 100)));
}
