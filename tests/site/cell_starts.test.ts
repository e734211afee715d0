/** The demo "Write your own cell" without a page: its tasks, the cells to start from, and its links. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { foldIn, host, key } from "../../mod.ts";
import { decodeShared, encodeShared, type Shared } from "../../site/demos/cell/address.ts";
import { begin, type CellProgram, explainStep, programIn } from "../../site/demos/cell/cell.ts";
import type { Picture } from "../../site/demos/cell/messages.ts";
import { pictureOf } from "../../site/demos/cell/picture.ts";
import { startNames } from "../../site/demos/cell/starts.ts";
import { taskNames } from "../../site/demos/cell/task_names.ts";
import { tasks } from "../../site/demos/cell/tasks.ts";

const FOLDER = new URL("../../site/demos/cell/starts/", import.meta.url);

const mayRead = Deno.permissions.querySync({ name: "read", path: FOLDER.pathname }).state === "granted";

/** One thread, so that the losses do not depend on the machine. */
const device = { name: "wasm", threads: 1 } as const;

async function startOf(name: string): Promise<CellProgram> {
  return programIn(await import(new URL(`${name}.js`, FOLDER).href));
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Losses of the first steps on the adding problem. */
async function lossesOf(program: CellProgram, steps: number): Promise<number[]> {
  using training = begin(program, { task: "adding", device: "wasm", learningRate: 0.01 }, device);
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) losses.push(await training.step());
  return losses;
}

Deno.test({
  name: "the cells to start from are the files of their folder",
  ignore: !mayRead,
  async fn() {
    const files = await Array.fromAsync(Deno.readDir(FOLDER), ({ name }) => name);
    assertEquals(files.sort(), startNames.map((name) => `${name}.js`).sort());
  },
});

for (const name of startNames) {
  Deno.test({
    name: `cell to start from: ${name} trains, and its loss is finite and falls`,
    ignore: !mayRead,
    async fn() {
      const losses = await lossesOf(await startOf(name), 120);
      assert(losses.every(Number.isFinite), String(losses));
      const [first, last] = [mean(losses.slice(0, 5)), mean(losses.slice(-20))];
      assert(last < 0.7 * first, `${first} became ${last}`);
    },
  });
}

Deno.test({
  name: "a cell that remembers passes the line of models without memory, one that forgets does not",
  ignore: !mayRead,
  async fn() {
    const { withoutMemory } = tasks.adding();
    const remembers = await lossesOf(await startOf("gru"), 400);
    assert(mean(remembers.slice(-50)) < 0.3 * withoutMemory, String(mean(remembers.slice(-50))));
    const gru = await startOf("gru");
    const forgets: CellProgram = {
      ...gru,
      // The state of each step is the first one.
      cell: (params) => (state, x) => [gru.cell(params)(state, x)[0], state],
    };
    const without = mean((await lossesOf(forgets, 400)).slice(-200));
    assert(without > 0.85 * withoutMemory, `${without}, expected about ${withoutMemory}`);
  },
});

Deno.test("tasks: the same key gives the same batch, and targets follow from inputs", () => {
  for (const name of taskNames) {
    const task = tasks[name]();
    const { x, y } = task.batch(key(3));
    assertEquals(task.batch(key(3)), { x, y });
    const other = host(task.batch(foldIn(key(3), 1)).x);
    assert(host(x).data.some((value, index) => value !== other.data[index]), name);
    assertEquals([x.shape.at(-1), task.everyStep], [task.features, y.shape[1] === x.shape[1]]);
  }
  const { x, y } = tasks.adding().batch(key(5));
  const [given, sums] = [host(x).data, host(y).data];
  for (let row = 0; row < sums.length; row++) {
    let [marks, sum] = [0, 0];
    for (let t = 0; t < 25; t++) {
      const at = 2 * (25 * row + t);
      if (given[at + 1] === 1) [marks, sum] = [marks + 1, sum + given[at]];
    }
    assertEquals([marks, Math.abs(sum - sums[row]) < 1e-6], [2, true]);
  }
});

Deno.test({
  name: "the picture of a step has what was hoisted, and times of all kernels",
  ignore: !mayRead,
  async fn() {
    const settings = { task: "adding", device: "wasm", learningRate: 0.01 } as const;
    const picture = pictureOf(await explainStep(await startOf("gru"), settings));
    const said = [...picture.before, ...picture.passes.flatMap(({ notes }) => notes)].map(({ text }) => text);
    assert(said.some((text) => text.startsWith("hoisted matmul")), said.join("\n"));
    assert(said.some((text) => text.startsWith("sank the sum")), said.join("\n"));
    assertEquals(picture.passes[0].name, "traced");
    const flat = (kernels: Picture["kernels"]): Picture["kernels"] =>
      kernels.flatMap((each) => [each, ...flat(each.body)]);
    const loops = picture.kernels.filter(({ kind }) => kind === "scan");
    assertEquals(loops.length, 2, "forward and backward");
    assert(loops.every(({ body }) => body.every(({ runs }) => runs === 25)));
    assert(flat(picture.kernels).every(({ microseconds = -1 }) => microseconds >= 0));
    assert(loops.every(({ body }) => body.every(({ microseconds = 0 }) => microseconds > 0)));
    assertEquals(structuredClone(picture), picture); // as a worker sends it
  },
});

Deno.test("a program without a function that it needs is refused by name", () => {
  assertThrows(() => programIn({ params: () => [], cell: () => 0 }), TypeError, "state is undefined");
});

Deno.test("a link has the program and all settings; what is none, or damaged, or too long gives nothing", async () => {
  const shared: Shared = {
    source: 'export const cell = "ñ, ü, 細胞";\n'.repeat(20),
    task: "copy",
    device: "webgpu",
    learningRate: 0.003,
    steps: 750,
  };
  const fragment = await encodeShared(shared);
  assert(/^p=[\w-]+$/.test(fragment) && fragment.length < shared.source.length / 2, fragment);
  assertEquals(await decodeShared(`#${fragment}`), shared);
  for (const other of ["", "#how-it-works", "#p=", fragment.slice(0, -9), "p=AAAA"]) {
    assertEquals(await decodeShared(other), undefined, other);
  }
  const odd = [{ task: "none" }, { device: "cuda" }, { steps: 0 }, { learningRate: "1" }, { source: 3 }];
  for (const change of odd) {
    const encoded = await encodeShared({ ...shared, ...change } as unknown as Shared);
    assertEquals(await decodeShared(encoded), undefined, JSON.stringify(change));
  }
  const long = await encodeShared({ ...shared, source: "a".repeat(5_000_000) });
  assertEquals(await decodeShared(long), undefined);
});
