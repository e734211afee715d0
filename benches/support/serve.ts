/** The process of a subject written in TypeScript: answers requests until its standard input ends. */
import { TextLineStream } from "./lines.ts";
import type { Reply, Request, Trial } from "./messages.ts";
import type { Task } from "./tasks.ts";

/** A subject as its process sees it. */
export interface Served {
  readonly versions: { readonly [name: string]: string };
  /** Prepares a task and warms it up. Throws if the subject cannot do it. */
  prepare(task: Task): Promise<Trial>;
}

/** Serves until there are no more requests, then ends the process, even if threads are still running. */
export async function serve(subject: Served): Promise<never> {
  const output = Deno.stdout.writable.getWriter();
  const encoder = new TextEncoder();
  const say = (reply: Reply) => output.write(encoder.encode(`${JSON.stringify(reply)}\n`));
  let trial: Trial | undefined;
  const answer = async (request: Request): Promise<Reply> => {
    switch (request.command) {
      case "prepare":
        trial?.[Symbol.dispose]();
        trial = undefined;
        trial = await subject.prepare(request.task);
        return {};
      case "run":
        if (!trial) throw new Error("Cannot run: nothing was prepared");
        return await trial.run();
      case "release":
        trial?.[Symbol.dispose]();
        trial = undefined;
        return {};
    }
  };
  // Libraries that print would corrupt the protocol.
  console.log =
    console.info =
    console.debug =
    console.warn =
      console.error;
  await say({ versions: subject.versions });
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) {
    const reply = await answer(JSON.parse(line)).catch((error: unknown): Reply => ({
      error: error instanceof Error ? error.message : String(error),
    }));
    await say(reply);
  }
  Deno.exit(0);
}

/** The requested backend: the second argument of the process; undefined if there is none. */
export function askedBackend(): string | undefined {
  return Deno.args[1];
}

/** The requested number of threads: the first argument of the process. */
export function askedThreads(): number {
  return Number(Deno.args[0] ?? 1);
}
