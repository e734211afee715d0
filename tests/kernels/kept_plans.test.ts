/** Which plans are kept: those used last, as many as fit in some bytes. */
import { assertEquals, assertMatch } from "@std/assert";
import { add, compile, spec, type Tensor, zeros } from "../../mod.ts";
import { KeptPlans } from "../../kernels/kept_plans.ts";

Deno.test("plans used least recently are dropped when the bytes are exceeded, but never the last one", () => {
  const kept = new KeptPlans<number>(100);
  const keys = () => kept.entries.map(([key]) => key);
  kept.add("a", 1, 40);
  kept.add("b", 2, 40);
  assertEquals(kept.get("a"), 1);
  kept.add("c", 3, 40);
  assertEquals(keys(), ["a", "c"]);
  assertEquals(kept.get("b"), undefined);
  kept.add("a", 4, 60);
  assertEquals([keys(), kept.get("a")], [["c", "a"], 4]);
  kept.delete("c");
  kept.add("d", 5, 500);
  assertEquals(keys(), ["d"]);
  assertEquals(
    kept.describe(),
    "1 plans kept, about 500 of at most 100 bytes; those used least recently are dropped first",
  );
  kept.clear();
  kept.add("e", 6, 100);
  assertEquals(keys(), ["e"]);
});

for (const device of ["wasm", "webgpu"] as const) {
  Deno.test({
    name: `explain says how many plans are kept, in how many bytes: ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    fn: async () => {
      using plus = compile((x: Tensor) => add(x, 1), { device, specs: [spec([null])] });
      for (const size of [3, 5, 3]) await plus(zeros([size]));
      assertMatch(
        plus.explain(),
        /\n2 plans kept, about \d+ of at most 1048576 bytes; those used least recently/,
      );
    },
  });
}
