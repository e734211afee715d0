/// <reference lib="dom" />
/** The package in a worker, which sends what the program gives. */
import { program } from "./program.ts";

const values = await program();
self.postMessage(values);
