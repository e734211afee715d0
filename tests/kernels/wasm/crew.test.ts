/** How many threads take part, on machines that are made up. */
import { assert, assertEquals } from "@std/assert";
import { createCrew } from "../../../kernels/cpu/crew.ts";
import { numbersFrom } from "../../operations/finite_differences.ts";

/** Milliseconds of a call of 8 shares where so many processors are free: threads beyond them cost turns. */
const onFree = (free: number) => (threads: number) =>
  threads <= free ? 8 / threads : 8 / free + 4 * (threads - free);

/** Makes calls; gives the milliseconds that all took, noise included. */
function play(
  crew: ReturnType<typeof createCrew>,
  machine: (threads: number) => number,
  calls: number,
  noise = numbersFrom(7),
): number {
  let total = 0;
  for (let call = 0; call < calls; call++) {
    // A tenth of noise, and now and then something else altogether.
    const taken = machine(crew.threads) * (1 + 0.1 * Math.abs(noise())) * (call % 37 === 0 ? 3 : 1);
    total += taken;
    crew.took(taken);
  }
  return total;
}

Deno.test("createCrew: where all processors are free, all threads take part, and trials cost little", () => {
  const crew = createCrew(8);
  const total = play(crew, onFree(8), 5000);
  const all = play({ threads: 8, took: () => {} }, onFree(8), 5000);
  assert(total < 1.05 * all, `${total} ms instead of ${all}`);
  crew.took(1);
  assertEquals(crew.threads, 8);
});

for (const free of [1, 2, 4]) {
  Deno.test(`createCrew: where ${free} of 8 processors are free, so many take part before long`, () => {
    const crew = createCrew(8);
    play(crew, onFree(free), 200);
    const best = play({ threads: free, took: () => {} }, onFree(free), 1000);
    const total = play(crew, onFree(free), 1000);
    assert(total < 1.15 * best, `${total} ms instead of ${best}`);
  });
}

Deno.test("createCrew: processors that are taken and given back are followed both ways", () => {
  const crew = createCrew(8);
  const near = (free: number, calls: number) => {
    play(crew, onFree(free), calls);
    const best = play({ threads: free, took: () => {} }, onFree(free), 500);
    const total = play(crew, onFree(free), 500);
    assert(total < 1.3 * best, `with ${free}: ${total} ms instead of ${best}`);
  };
  near(8, 3000);
  near(2, 300);
  near(8, 3000);
  near(1, 300);
  near(4, 3000);
});

Deno.test("createCrew: one thread stays one", () => {
  const crew = createCrew(1);
  play(crew, () => 1, 500);
  assertEquals(crew.threads, 1);
});
