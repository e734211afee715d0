/** What executables keep for the sizes of their calls. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { add, type HostTensor, spec, trace, zeros } from "../../mod.ts";
import { host } from "../../src/tensor/tensor.ts";
import { CompiledSizes } from "../../kernels/sizes.ts";
import { createWasm } from "../../kernels/wasm/mod.ts";
import { symbol } from "../../src/tensor/dims.ts";

const { program } = trace((x) => add(x, 1), spec([symbol("batch")]));
const ofBatch = (batch: number): HostTensor[] => [host(zeros([batch]))];

/** What is compiled for a batch. */
interface Compiled {
  readonly batch: number;
}

/** Sizes that note what was compiled for them, and what was dropped. */
function noting() {
  const made: number[] = [], dropped: number[] = [];
  const sizes = new CompiledSizes<Compiled>(program, ({ batch }) => void dropped.push(batch));
  const compile = ({ batch }: { readonly [symbol: string]: number }): Compiled => {
    made.push(batch);
    return { batch };
  };
  return { sizes, made, dropped, compile };
}

Deno.test("eight sets of sizes stay compiled, and the least recently used one goes", () => {
  const { sizes, made, dropped, compile } = noting();
  for (const batch of [1, 2, 3, 4, 5, 6, 7, 8, 1]) sizes.getOr(ofBatch(batch), compile);
  assertEquals(made, [1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(sizes.getOr(ofBatch(9), compile), { batch: 9 });
  assertEquals(dropped, [2]);
  assertEquals(sizes.get(ofBatch(2)), undefined);
  assertEquals(sizes.get(ofBatch(1)), { batch: 1 });
  assertEquals(sizes.entries.map(([key]) => key).at(-1), "batch=1");
});

Deno.test("calls that come while their sizes are compiled wait for the same", async () => {
  const { sizes, made, compile } = noting();
  const later = (bindings: { readonly [symbol: string]: number }) => Promise.resolve(compile(bindings));
  const [first, second] = await Promise.all([
    sizes.find(ofBatch(3), later),
    sizes.find(ofBatch(3), later),
  ]);
  assertEquals([first === second, made], [true, [3]]);
  await assertRejects(() => sizes.find(ofBatch(4), () => Promise.reject(new Error("no"))), Error, "no");
  assertEquals(await sizes.find(ofBatch(4), later), { batch: 4 }); // it may be tried again
});

Deno.test("what is compiled is dropped once, when it is disposed, and so is what comes later", async () => {
  const { sizes, dropped, compile } = noting();
  sizes.getOr(ofBatch(1), compile);
  const pending = sizes.find(ofBatch(2), (bindings) => Promise.resolve(compile(bindings)));
  sizes[Symbol.dispose]();
  await assertRejects(() => pending, Error, "it was disposed");
  assertEquals(dropped, [1, 2]);
  assertThrows(() => sizes.get(ofBatch(1)), Error, "it was disposed");
});

Deno.test("a call with the sizes of the last one begins before anything is awaited", async () => {
  using executable = await createWasm({ threads: 1 }).compile(program, { donate: [false], keep: [true] });
  const kept = async (inputs: Parameters<typeof executable.run>[0]) => {
    const [output] = await executable.run(inputs);
    assert(output.kind === "device");
    return output;
  };
  const first = await kept(ofBatch(2));
  const second = kept([first]);
  first[Symbol.dispose]();
  using result = await second;
  assertEquals([...(await result.read()).data], [2, 2]);
});
