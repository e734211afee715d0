/** A subject's process as the benchmark sees it: it runs one request at a time and is idle otherwise. */
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

/** How long a request may take: Keras's `fit` takes minutes on a busy machine. */
const PATIENCE = 20 * 60 * 1000;

/** How much of the standard error is kept for error messages. */
const KEPT = 2000;

/** A running subject. */
export class SubjectProcess implements AsyncDisposable {
  /** Names and versions of the libraries in it. */
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

  /** Starts a subject and waits until it is ready. */
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

  /** Prepares a task and warms it up. */
  async prepare(task: Task): Promise<void> {
    await this.#ask({ command: "prepare", task });
  }

  /** Milliseconds of one step, and other measured values. */
  async run(): Promise<{ readonly time: number; readonly values?: Values }> {
    const { time, values } = await this.#ask({ command: "run" });
    if (time === undefined) throw new Error(`Cannot use the reply of ${this.subject}: it has no time`);
    return { time, values };
  }

  /** Releases the task. */
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

/**
 * The most informative line: the last one that mentions an error, as a trace may follow it; else the last.
 */
function errorLine(text: string): string {
  // deno-lint-ignore no-control-regex -- the colors of a terminal
  const lines = text.replaceAll(/\x1b\[[0-9;]*m/g, "").trimEnd().split("\n");
  return (lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? "").trim();
}
