/** The files of `checkpoint`: which are kept, what becomes of damaged ones, and who may write. */
import {
  type Callback,
  checkpoint,
  csvLog,
  dense,
  fit,
  type FitOptions,
  init,
  key,
  normal,
  sequential,
} from "@cellfold/cellfold";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { lockDirectory } from "../../src/data/lock.ts";
import { eventually } from "../support/eventually.ts";
import { valuesOf } from "./models.ts";

const mayWrite = (["read", "write"] as const).every((name) =>
  Deno.permissions.querySync({ name }).state === "granted"
);

function testInDirectory(name: string, fn: (directory: string) => Promise<void>): void {
  Deno.test({
    name: name + (mayWrite ? "" : " (needs --allow-read --allow-write)"),
    ignore: !mayWrite,
    fn: async () => {
      const directory = await Deno.makeTempDir();
      try {
        await fn(directory);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

const model = sequential([dense({ units: 2 }), dense({ units: 1 })]);
const data = { x: normal(key(1), [12, 3]), y: normal(key(2), [12, 1]) };
const variables = init(model, key(0), data.x);

/** Three steps an epoch. */
function train(options: Partial<FitOptions> = {}) {
  return fit(model, variables, data, {
    loss: "mse",
    optimizer: "adam",
    batchSize: 4,
    epochs: 4,
    report: "none",
    device: "reference",
    ...options,
  });
}

function updatesIn(directory: string): number[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name }) => {
    const [, digits] = /^checkpoint-(\d{10})\.safetensors$/.exec(name) ?? [];
    return digits === undefined ? [] : [Number(digits)];
  }).sort((a, b) => a - b);
}

function pathOf(directory: string, updates: number): string {
  return `${directory}/checkpoint-${String(updates).padStart(10, "0")}.safetensors`;
}

/** What is warned while something runs. */
async function warningsOf(run: () => Promise<unknown>): Promise<string[]> {
  const warned: string[] = [];
  const { warn } = console;
  console.warn = (text: string) => void warned.push(text);
  try {
    await run();
  } finally {
    console.warn = warn;
  }
  return warned;
}

testInDirectory(
  "checkpoint: files are written every so often, and the newest are kept",
  async (directory) => {
    const seen: number[][] = [];
    const watch: Callback = { onSave: () => void seen.push(updatesIn(directory)) };
    await train({ epochs: 2, callbacks: [checkpoint({ directory, every: { steps: 2 } }), watch] });
    // Before the first step, after each but the last of an epoch, after each epoch: 0, 1, 2, 3, 4, 5, 6.
    assertEquals(seen, [[0], [0], [0, 2], [0, 2], [2, 4], [2, 4], [4, 6]]);

    const all = `${directory}/all/of/them`;
    await train({ callbacks: [checkpoint({ directory: all, keep: 100 })] });
    assertEquals(updatesIn(all), [0, 3, 6, 9, 12]);
    const rare = `${directory}/rare/`;
    await train({ callbacks: [checkpoint({ directory: rare, every: 3, keep: 100 })] });
    assertEquals(updatesIn(rare), [0, 9, 12], "the end is written too");
    const left = [...Deno.readDirSync(rare)].map(({ name }) => name).filter((name) =>
      !name.endsWith(".safetensors")
    );
    assertEquals(left, ["lock"]);
    assertEquals(Deno.statSync(`${rare}/lock`).size, 0, "nobody holds it");
  },
);

testInDirectory(
  "checkpoint: a damaged newest file gives way to the one before, which is said",
  async (directory) => {
    const expected = await train();
    const callbacks = () => [checkpoint({ directory })];
    await train({ epochs: 3, callbacks: callbacks() });
    assertEquals(updatesIn(directory), [6, 9]);
    const newest = pathOf(directory, 9);
    const bytes = Deno.readFileSync(newest);
    for (
      const damage of [
        bytes.with(bytes.length - 3, 1),
        bytes.slice(0, -9),
        new Uint8Array(0),
        bytes.with(70, 48),
      ]
    ) {
      Deno.writeFileSync(newest, damage);
      let result: Awaited<ReturnType<typeof train>> | undefined;
      const warned = await warningsOf(async () => result = await train({ resume: directory }));
      assertEquals(warned.length, 1);
      assert(
        warned[0].includes(
          `resumed from ${pathOf(directory, 6)}, as checkpoint-0000000009.safetensors is damaged`,
        ),
      );
      assertEquals(valuesOf(result?.variables), valuesOf(expected.variables));
      assertEquals(result?.history, expected.history);
    }
    // A run that writes there goes on too, and what was damaged is replaced.
    await warningsOf(() => train({ resume: directory, callbacks: callbacks() }));
    assertEquals(updatesIn(directory), [9, 12]);
    const warned = await warningsOf(() => train({ resume: directory }));
    assertEquals(warned, []);

    for (const updates of [9, 12]) Deno.writeFileSync(pathOf(directory, updates), bytes.slice(0, 50));
    await assertRejects(
      () => train({ resume: directory }),
      Error,
      "checkpoint-0000000012.safetensors is damaged",
    );
  },
);

testInDirectory(
  "checkpoint: files behind the one that is resumed are removed with the first save",
  async (directory) => {
    await train({ epochs: 2, callbacks: [checkpoint({ directory, keep: 9 })] });
    Deno.writeFileSync(pathOf(directory, 3000), new Uint8Array(5));
    Deno.writeFileSync(`${pathOf(directory, 7)}.unfinished`, new Uint8Array(5));
    await warningsOf(() =>
      train({ epochs: 3, resume: directory, callbacks: [checkpoint({ directory, keep: 9 })] })
    );
    assertEquals(updatesIn(directory), [0, 3, 6, 9]);
    assertThrows(() => Deno.statSync(`${pathOf(directory, 7)}.unfinished`), Deno.errors.NotFound);
  },
);

testInDirectory(
  "checkpoint: an empty directory, one of another run or version is refused",
  async (directory) => {
    await assertRejects(() => train({ resume: directory }), Error, `from ${directory}: it has no checkpoint`);
    const missing = `${directory}/missing`;
    await assertRejects(() => train({ resume: missing }), Error, "it has no checkpoint");
    await train({ resume: { directory: missing, optional: true } });

    await train({ epochs: 1, callbacks: [checkpoint({ directory })] });
    let steps = 0;
    const count: Callback = { onBatchEnd: () => void steps++ };
    const again = () => train({ callbacks: [count, checkpoint({ directory })] });
    await assertRejects(again, Error, "it has checkpoint-0000000003.safetensors of another run");
    const other = `${directory}/other`;
    const elsewhere = () =>
      train({ resume: directory, callbacks: [count, checkpoint({ directory: other })] });
    await elsewhere();
    steps = 0;
    await assertRejects(elsewhere, Error, "of another run");
    await assertRejects(
      () => train({ optimizer: "sgd", resume: directory, callbacks: [count] }),
      RangeError,
      "adam",
    );
    assertEquals(steps, 0, "nothing ran");
  },
);

testInDirectory(
  "checkpoint: a directory that cannot be written is refused before anything runs",
  async (directory) => {
    const file = `${directory}/file`;
    Deno.writeTextFileSync(file, "text");
    let steps = 0;
    const count: Callback = { onBatchEnd: () => void steps++ };
    for (const place of [file, `${file}/below`, "/proc/nowhere"]) {
      await assertRejects(
        () => train({ callbacks: [count, checkpoint({ directory: place })] }),
        Error,
        `Cannot write checkpoints into ${place}: `,
      );
    }
    await assertRejects(() => train({ resume: file }), Error, `Cannot resume training from ${file}: `);
    assertEquals(steps, 0);
  },
);

testInDirectory("checkpoint: of two runs into a directory the second is refused", async (directory) => {
  const second: Callback = {
    async onEpochEnd() {
      await assertRejects(
        () => train({ resume: directory, callbacks: [checkpoint({ directory })] }),
        Error,
        `${directory} is written by the run of process ${Deno.pid}`,
      );
    },
  };
  await train({ epochs: 1, callbacks: [checkpoint({ directory }), second] });
  const again = `${directory}/../${directory.split("/").at(-1)}/`; // the same place, written otherwise
  await train({ resume: again, callbacks: [checkpoint({ directory })] });
  // Also after an error, the directory is free again.
  const fail: Callback = {
    onEpochEnd() {
      throw new Error("on purpose");
    },
  };
  const failing = () => train({ epochs: 5, resume: directory, callbacks: [checkpoint({ directory }), fail] });
  await assertRejects(failing, Error, "on purpose");
  await train({ epochs: 5, resume: directory, callbacks: [checkpoint({ directory })] });
});

testInDirectory("lockDirectory: the lock of a process that is no more does not block", async (directory) => {
  const lock = `${directory}/lock`;
  const numbers = [
    { pid: 999_999_999, bySystem: true },
    { pid: Deno.pid, bySystem: true }, // the number of a process is used again
    { pid: 999_999_999, bySystem: false },
  ];
  for (const text of ["", "no JSON", ...numbers.map((holder) => JSON.stringify(holder))]) {
    Deno.writeTextFileSync(lock, text);
    if (text.includes("false") && !mayAsk) continue;
    const release = lockDirectory("test", directory);
    assertThrows(() => lockDirectory("test", directory), Error, "expected one run in a directory");
    release();
  }
  await Promise.resolve();
});

/** Whether it can be asked if a process lives. */
/** Deno lets a program read the states of processes with all permissions only; Node always does (tests/platforms/node.test.ts). */
const mayReadProcesses = (() => {
  try {
    return Deno.readTextFileSync("/proc/self/stat").length > 0;
  } catch {
    return false;
  }
})();

const mayAsk = Deno.permissions.querySync({ name: "run" }).state === "granted";

testInDirectory(
  "lockDirectory: where the system has no locks, as in Node, the number of the process counts",
  async (directory) => {
    const deno = Deno;
    const setDeno = (value: object) =>
      Object.defineProperty(globalThis, "Deno", { value, configurable: true, enumerable: true });
    const lock = `${directory}/lock`;
    const holder = JSON.stringify({ pid: Deno.ppid, bySystem: false });
    const dead = JSON.stringify({ pid: 999_999_999, bySystem: false });
    Deno.writeTextFileSync(lock, mayAsk ? dead : "");
    setDeno(Object.create(deno, { openSync: { value: undefined } }));
    try {
      const release = lockDirectory("test", directory);
      assertThrows(() => lockDirectory("test", directory), Error, "is written by the run of process");
      release();
      assertThrows(() => deno.statSync(lock), deno.errors.NotFound);
      deno.writeTextFileSync(lock, holder);
      assertThrows(() => lockDirectory("test", directory), Error, `the run of process ${deno.ppid}`);
      if (!mayAsk || !mayReadProcesses) return;
      await withEndedProcess((pid) => {
        deno.writeTextFileSync(lock, JSON.stringify({ pid, bySystem: false }));
        lockDirectory("test", directory)();
      });
    } finally {
      setDeno(deno);
    }
  },
);

/** Hands over the number of a process that has ended, but that its parent has not asked for its result. */
async function withEndedProcess(use: (pid: number) => void): Promise<void> {
  const parent = new Deno.Command("sh", {
    args: ["-c", "sleep 0.2 & echo $!; exec sleep 60"],
    stdout: "piped",
  })
    .spawn();
  try {
    const reader = parent.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const pid = Number(new TextDecoder().decode(value));
    await eventually(() => Deno.readTextFileSync(`/proc/${pid}/stat`).includes(") Z "), true);
    use(pid);
  } finally {
    parent.kill();
    await parent.status;
  }
}

testInDirectory("a directory with the name of a checkpoint is none", async (directory) => {
  Deno.mkdirSync(`${directory}/checkpoint-9999999999.safetensors`);
  const callbacks = [checkpoint({ directory })];
  const { history } = await train({ epochs: 1, callbacks });
  const resumed = await train({ epochs: 2, callbacks, resume: directory });
  assertEquals(resumed.history.loss.slice(0, 1), history.loss);
  await assertRejects(() => train({ resume: "" }), RangeError, "resume is empty");
});

Deno.test("checkpoint: options that make no sense are refused", () => {
  const misspelt = { directory: "a", evry: 1 } as { directory: string };
  assertThrows(() => checkpoint(misspelt), RangeError, 'did you mean "every"?');
  assertThrows(() => checkpoint({ directory: "a", every: 0 }), RangeError, "every is 0");
  assertThrows(() => checkpoint({ directory: "a", every: { steps: 0.5 } }), RangeError, "every.steps is 0.5");
  assertThrows(() => checkpoint({ directory: "a", keep: 0 }), RangeError, "keep is 0");
  assertThrows(
    () => checkpoint({ directory: 1 as unknown as string }),
    TypeError,
    "directory is the number 1",
  );
  assertThrows(() => checkpoint({ directory: "" }), RangeError, "directory is empty");
  assertThrows(() => csvLog({ file: "" }), RangeError, "file is empty");
});
