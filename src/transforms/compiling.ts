/** What compiling a Program needs; it is loaded with the first one, as models are made and traced without it. */
export { runPasses } from "../passes/mod.ts";
export { compileLaidOut } from "./laid_out.ts";
