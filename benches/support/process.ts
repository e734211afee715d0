/** A subject's process as the benchmark sees it: asked one thing at a time, silent otherwise. */
import { TextLineStream } from "./lines.ts";
import type { Subject, Values } from "./measurements.ts";
import type { Reply, Request } from "./messages.ts";
import type { Task } from "./tasks.ts";

/** How a process is started. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: { readonly [name: string]: string };
}

/** So long may a request take: a run of Keras's `fit` takes minutes on a busy machine. */
const PATIENCE = 20 * 60 * 1000;

/** So much of the standard error is kept for what goes wrong. */
const KEPT = 2000;

/** A running subject. */
export class SubjectProcess implements AsyncDisposable {
  /** Name and version of what is at work in it. */
  versions: { readonly [name: string]: string } = {};
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #encoder = new TextEncoder();
  #errors = "";

  private constructor(readonly subject: Subject, readonly threads: number, { command, args, env }: Launch) {
    this.#child = new Deno.Command(command, {
      args: [...args],
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())
      .getReader();
    this.#requests = this.#child.stdin.getWriter();
    this.#collectErrors();
  }

  /** Starts a subject and waits until it is there. */
  static async start(subject: Subject, threads: number, launch: Launch): Promise<SubjectProcess> {
    const started = new SubjectProcess(subject, threads, launch);
    try {
      started.versions = (await started.#reply()).versions ?? {};
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
    return started;
  }

  /** Makes a task ready and warms it up. */
  async prepare(task: Task): Promise<void> {
    await this.#ask({ command: "prepare", task });
  }

  /** Milliseconds of one step, and what else was measured. */
  async run(): Promise<{ readonly time: number; readonly values?: Values }> {
    const { time, values } = await this.#ask({ command: "run" });
    if (time === undefined) throw new Error(`Cannot use the reply of ${this.subject}: it has no time`);
    return { time, values };
  }

  /** Lets go of the task. */
  async release(): Promise<void> {
    await this.#ask({ command: "release" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close().catch(() => {}); // it may have ended by itself
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await this.#child.status;
    clearTimeout(killer);
    await this.#lines.cancel();
  }

  async #ask(request: Request): Promise<Reply> {
    await this.#requests.write(this.#encoder.encode(`${JSON.stringify(request)}\n`));
    return await this.#reply();
  }

  async #reply(): Promise<Reply> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${this.subject} did not answer in time`)), PATIENCE);
    });
    try {
      const { value, done } = await Promise.race([this.#lines.read(), tooLong]);
      if (done) throw new Error(`${this.subject} ended${this.#errors ? `: ${errorLine(this.#errors)}` : ""}`);
      const reply: Reply = JSON.parse(value);
      if (reply.error !== undefined) throw new Error(reply.error);
      return reply;
    } finally {
      clearTimeout(timer);
    }
  }

  async #collectErrors(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#errors = (this.#errors + text).slice(-KEPT);
    }
  }
}

/** The line that tells most: the last one that speaks of an error, as what follows may be a trace; else the last. */
function errorLine(text: string): string {
  // deno-lint-ignore no-control-regex -- the colours of a terminal
  const lines = text.replaceAll(/\x1b\[[0-9;]*m/g, "").trimEnd().split("\n");
  return (lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? "").trim();
}
