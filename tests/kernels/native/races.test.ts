/**
 * The threads of the native backend under ThreadSanitizer, which reports memory that two threads use without an order between
 * them. The runtime and the Programs are compiled with it into a program of their own, which calls each Program many times.
 */
import { assertRejects } from "@std/assert";
import { RUNTIME } from "../../../kernels/native/c/runtime.ts";
import { fewExamples } from "../../support/examples.ts";
import { agreementCases } from "../agreement.ts";
import { missing } from "./backends.ts";
import { holdStandalone, isThere, type Runs, type Toolchain } from "./standalone.ts";

/** Kernels that are shared, one after the other; a product with many terms; and scans whose rows are shared. */
const NAMES = [
  "softmax [2,3,5]",
  "long cumsum [3,2049,2]",
  "long sums [1500,30] [1500,21]",
  "scan",
  "gradient of a scan",
];
const cases = NAMES.map((name) => {
  const found = agreementCases.find((one) => one.name === name);
  if (!found) throw new Error(`Cannot run "${name}": there is no case of this name`);
  return found;
});

const gcc = { compiler: "gcc", flags: ["-O1", "-g", "-march=native", "-fsanitize=thread"] };

/** Whether a program that does nothing runs under ThreadSanitizer. */
async function canRun({ compiler, flags, emulator = [] }: Toolchain): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  const succeeds = async ([command, ...args]: readonly string[]) =>
    (await new Deno.Command(command, { args }).output()).success;
  try {
    await Deno.writeTextFile(`${folder}/main.c`, "int main(void) { return 0; }\n");
    return await succeeds([compiler, ...flags, `${folder}/main.c`, "-o", `${folder}/main`]) &&
      await succeeds([...emulator, `${folder}/main`]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** ThreadSanitizer, where it runs: some systems place memory where it expects none, unless asked not to. */
async function findSanitizer(): Promise<Toolchain | undefined> {
  if (missing !== undefined) return undefined;
  for (const emulator of [[], ["setarch", "-R"]]) {
    const toolchain = { ...gcc, emulator };
    if (await isThere(toolchain) && await canRun(toolchain)) return toolchain;
  }
  console.warn("gcc with ThreadSanitizer is missing, or cannot run here: the search for races is left out");
  return undefined;
}

const sanitizer = await findSanitizer();

function test(name: string, fn: (run: (runs: Runs) => Promise<void>) => Promise<void>): void {
  Deno.test({
    name: `native: ${name}`,
    ignore: sanitizer === undefined,
    fn: () => fn((runs) => sanitizer ? holdStandalone(sanitizer, runs) : Promise.resolve()),
  });
}

for (const threads of fewExamples ? [3] : [2, 3]) {
  test(`ThreadSanitizer finds no race among ${threads} threads`, async (run) => {
    await run({ cases, threads, calls: 150 });
  });
}

test("ThreadSanitizer finds a phase that begins before what it reads is visible", async (run) => {
  const ordered = "__atomic_add_fetch(&pool->done, 1, __ATOMIC_ACQ_REL)";
  const runtime = RUNTIME.replace(ordered, ordered.replace("ACQ_REL", "RELAXED"));
  await assertRejects(() => run({ cases, runtime, threads: 3, calls: 150 }), Error, "data race");
});
