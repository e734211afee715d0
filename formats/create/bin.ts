#!/usr/bin/env node
/** The command `create` as the package `create-cellfold` of npm runs it. */
import process from "node:process";
import { createCommand } from "./mod.ts";

try {
  await createCommand(process.argv.slice(2), { log: (line) => console.log(line) });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
