/** Starting a worker of the thread pool on any host, and exchanging messages with it. */
import { type FromWorker, type ToWorker, WORKER_SOURCE } from "./worker_source.ts";

/** A worker on any host, which does not keep the process from ending. */
export interface Thread {
  post(message: ToWorker): void;
  terminate(): void;
}

/** Handlers for the events of a worker. */
export interface Listener {
  answered(answer: FromWorker): void;
  gone(reason: string): void;
}

/** The part of `node:worker_threads` that the pool uses. */
interface NodeWorkerThreads {
  readonly Worker: new (
    source: string,
    options: { readonly eval: true; readonly env: Readonly<Record<string, string>> },
  ) => {
    on(event: "message", listener: (message: FromWorker) => void): void;
    on(event: "error", listener: (error: Error) => void): void;
    on(event: "exit", listener: (code: number) => void): void;
    postMessage(message: ToWorker): void;
    unref(): void;
    terminate(): Promise<number>;
  };
}

/** The part of Trusted Types that the pool uses; not yet in the library's types. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { readonly createScriptURL: (url: string) => string },
  ): { createScriptURL(url: string): string };
}

/** Deno's and Node's module of workers; undefined elsewhere. */
function nodeWorkerThreads(): NodeWorkerThreads | undefined {
  // `process` is not among the types of a browser's globals; a polyfill of it lacks `getBuiltinModule`.
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  return process?.getBuiltinModule?.("node:worker_threads") as NodeWorkerThreads | undefined; // by its name
}

/**
 * About how many milliseconds the thread that starts a worker is busy with that: next to none in a browser, but Deno
 * takes 35 to 100, and Node not much less.
 */
export function startingTakes(): number {
  return nodeWorkerThreads() ? 50 : 0;
}

/**
 * Starts a worker: in Deno and Node by `node:worker_threads`, which needs no permission; in a browser from a
 * Blob.
 *
 * @throws {Error} If the host refuses at once; a refusal by a content security policy is often reported
 * later.
 */
export function startWorker(listener: Listener): Thread {
  const node = nodeWorkerThreads();
  if (node) {
    // Without an environment of its own a worker gets a copy, for which Deno asks on a terminal.
    const worker = new node.Worker(WORKER_SOURCE, { eval: true, env: {} });
    worker.on("message", (answer) => listener.answered(answer));
    worker.on("error", (error) => listener.gone(error.message));
    worker.on("exit", (code) => listener.gone(`it ended with code ${code}`));
    worker.unref();
    return {
      post: (message) => worker.postMessage(message),
      terminate: () => void worker.terminate().catch(() => {}), // it has ended already
    };
  }
  const url = URL.createObjectURL(new Blob([WORKER_SOURCE], { type: "text/javascript" }));
  const worker = new Worker(trusted(url), { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
    URL.revokeObjectURL(url); // not before the script has been read
    listener.answered(data);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault?.();
    listener.gone(
      event.message || "it could not be started; a content security policy needs worker-src blob:",
    );
  });
  return {
    post: (message) => worker.postMessage(message),
    terminate: () => worker.terminate(),
  };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;

/** The URL as a page with `require-trusted-types-for 'script'` requires it, by a policy named cellfold. */
function trusted(url: string): string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  policy ??= trustedTypes?.createPolicy("cellfold", { createScriptURL: (own) => own });
  return policy?.createScriptURL(url) ?? url;
}
