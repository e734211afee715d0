/// <reference lib="deno.worker" />
/** One of the threads of {@linkcode sharedCeiling}: says that it has started, then, when told to, how fast it is. */
import { multiplyAddCeiling } from "./ceiling.ts";

self.onmessage = () => self.postMessage(multiplyAddCeiling());
self.postMessage(undefined);
