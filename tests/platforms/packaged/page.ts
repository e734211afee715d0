/// <reference lib="dom" />
/** The package in a page, and in a worker of it. */
import { program } from "./program.ts";

/** What the program gives in the worker. */
function inWorker(): Promise<number[]> {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
}

Object.assign(globalThis, { result: Promise.all([program(), inWorker()]) });
