/**
 * The C of Programs compiled by every compiler, for every width of vectors, with every warning as an error; under the
 * sanitizers; and for another architecture in an emulator.
 */
import { fewExamples } from "../../support/examples.ts";
import { missing } from "./backends.ts";
import { holdStandalone, isThere, type Toolchain } from "./standalone.ts";

const mayRun = Deno.permissions.querySync({ name: "run" }).state === "granted" && missing === undefined;
const isX86 = Deno.build.arch === "x86_64";

const toolchains: readonly (Toolchain & { readonly name: string; readonly ignore?: boolean })[] = [
  {
    name: "aarch64, in an emulator",
    compiler: "aarch64-linux-gnu-gcc",
    flags: ["-O2", "-static"],
    emulator: ["qemu-aarch64"],
  },
  {
    name: "the sanitizers of addresses and undefined behavior",
    compiler: "gcc",
    flags: ["-O1", "-march=native", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
  },
  { name: "clang", compiler: "clang", flags: ["-O3", "-march=native"] },
  { name: "gcc, vectors of 8", compiler: "gcc", flags: ["-O3", "-march=haswell"], ignore: !isX86 },
  { name: "gcc, vectors of 4", compiler: "gcc", flags: ["-O3"] },
  { name: "clang, vectors of 4", compiler: "clang", flags: ["-O3"] },
];

for (
  const { name, ignore = false, ...toolchain } of toolchains.slice(0, fewExamples ? 2 : undefined)
) {
  const isReady = mayRun && !ignore && await isThere(toolchain);
  if (mayRun && !ignore && !isReady) {
    console.warn(`${toolchain.compiler} or its emulator is missing: ${name} is left out`);
  }
  Deno.test({
    name: `native: Programs compute what the reference does with ${name}`,
    ignore: !isReady,
    fn: () => holdStandalone(toolchain),
  });
}
