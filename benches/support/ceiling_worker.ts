/// <reference lib="deno.worker" />
/**
 * One of the threads of {@linkcode sharedCeiling}: reports that it has started and then, on request, how fast
 * it is.
 */
import { multiplyAddCeiling } from "./ceiling.ts";

self.onmessage = () => self.postMessage(multiplyAddCeiling());
self.postMessage(undefined);
