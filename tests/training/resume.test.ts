/** A run that was interrupted anywhere ends with the numbers of one that was not, bit for bit. */
import type { Callback } from "@cellfold/cellfold";
import { loadCheckpoint } from "@cellfold/cellfold/safetensors";
import { assert, assertEquals } from "@std/assert";
import { valuesOf } from "./models.ts";
import { cases, devices, hasWebGpu, numbersOf, type Saved, saver, train } from "./resume_cases.ts";

for (const [name, device, stride] of devices) {
  for (const one of cases) {
    Deno.test({
      name: `resumed from anywhere, a run ends as if it had not been interrupted: ${one.name}, on ${name}`,
      ignore: device === "webgpu" && !hasWebGpu,
      sanitizeOps: false,
      sanitizeResources: false,
      async fn() {
        const expected = numbersOf(await train(one, { device }));
        const saved: Saved[] = [];
        const watched = numbersOf(await train(one, { device, callbacks: [saver(saved)] }));
        assertEquals(watched, expected, "saving changes nothing");
        assertEquals(saved[0].place, "0/0");
        assert(saved.some(({ place }) => !place.endsWith("/0")), "some are in the middle of an epoch");
        for (const [index, { place, bytes }] of saved.entries()) {
          if (index % stride !== 0 && index !== saved.length - 1) continue;
          assertEquals(numbersOf(await train(one, { device, resume: bytes })), expected, place);
        }
      },
    });
  }
}

const [first] = cases;

Deno.test("an aborted run, and one that is aborted in its validation, goes on where it was", async () => {
  const expected = numbersOf(await train(first, {}));
  for (const steps of [1, 5, 7]) {
    const abort = new AbortController();
    const saved: Saved[] = [];
    let count = 0;
    const stopper: Callback = { onBatchEnd: () => void (++count === steps && abort.abort()) };
    const { stopped } = await train(first, { signal: abort.signal, callbacks: [stopper, saver(saved)] });
    assertEquals(stopped, "aborted");
    const last = saved.at(-1);
    assertEquals(last?.place, `${Math.floor((steps - 1) / 5)}/${(steps - 1) % 5 + 1}`);
    assertEquals(numbersOf(await train(first, { resume: last?.bytes })), expected);
  }
});

Deno.test("a run that a callback ended stays ended; one that reached its epochs goes on to more", async () => {
  const saved: Saved[] = [];
  const stop: Callback = { onBatchEnd: (context) => void (context.epoch === 1 && context.stop()) };
  const ended = await train(first, { callbacks: [stop, saver(saved)] });
  assertEquals(ended.stopped, "callback");
  const again = await train(first, { resume: saved.at(-1)?.bytes });
  assertEquals(numbersOf(again), numbersOf(ended));

  const [, , plain] = cases;
  saved.length = 0;
  await train(plain, { epochs: 2, callbacks: [saver(saved)] });
  const more = await train(plain, { epochs: 3, resume: saved.at(-1)?.bytes });
  assertEquals(numbersOf(more), numbersOf(await train(plain, {})));
});

Deno.test("what is saved is a checkpoint that loadCheckpoint reads", async () => {
  const saved: Saved[] = [];
  const [, , plain] = cases;
  const result = await train(plain, { callbacks: [saver(saved)] });
  const read = loadCheckpoint(saved.at(-1)?.bytes ?? new Uint8Array());
  assertEquals(valuesOf(read.variables), valuesOf(result.variables));
  assertEquals(valuesOf(read.optimizerState ?? {}), valuesOf(result.optimizerState));
});
