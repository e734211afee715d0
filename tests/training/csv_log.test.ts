import {
  type Callback,
  csvLog,
  dense,
  fit,
  type FitOptions,
  init,
  key,
  meanMetric,
  normal,
} from "@cellfold/cellfold";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";

const mayWrite = (["read", "write"] as const).every((name) =>
  Deno.permissions.querySync({ name }).state === "granted"
);

function testWithFile(name: string, fn: (file: string) => Promise<void>): void {
  Deno.test({
    name: name + (mayWrite ? "" : " (needs --allow-read --allow-write)"),
    ignore: !mayWrite,
    fn: async () => {
      const file = await Deno.makeTempFile();
      try {
        await fn(file);
      } finally {
        await Deno.remove(file);
      }
    },
  });
}

const model = dense({ units: 1 });
const data = { x: normal(key(1), [8, 2]), y: normal(key(2), [8, 1]) };

function train(options: Partial<FitOptions>) {
  return fit(model, init(model, key(0), data.x), data, {
    loss: "mse",
    metrics: ["mae"],
    optimizer: "sgd",
    batchSize: 4,
    report: "none",
    ...options,
  });
}

testWithFile("csvLog: a header, and a line for each epoch", async (file) => {
  Deno.writeTextFileSync(file, "what was there before, and is longer than a line\n");
  const { history } = await train({ epochs: 2, callbacks: [csvLog({ file })] });
  const [header, ...lines] = Deno.readTextFileSync(file).trimEnd().split("\n");
  assertEquals(header, "epoch,loss,mae");
  assertEquals(lines.map((line) => line.split(",").map(Number)), [
    [0, history.loss[0], history.mae[0]],
    [1, history.loss[1], history.mae[1]],
  ]);
});

testWithFile("csvLog: JSON lines, added to those of earlier runs", async (file) => {
  const log = () => csvLog({ file, format: "jsonl", append: true });
  const first = await train({ callbacks: [log()] });
  const second = await train({ key: key(3), callbacks: [log()] });
  const lines = Deno.readTextFileSync(file).trimEnd().split("\n");
  assertEquals(
    lines.map((line) => JSON.parse(line)),
    [first, second].map(({ history }) => ({ epoch: 0, loss: history.loss[0], mae: history.mae[0] })),
  );
});

testWithFile(
  "csvLog: lines are added below the same columns only, and never to half a line",
  async (file) => {
    const log = () => csvLog({ file, append: true });
    await train({ callbacks: [log()] });
    await train({ callbacks: [log()] });
    const text = Deno.readTextFileSync(file);
    assertEquals(text.split("\n").map((line) => line.split(",").length), [3, 3, 3, 1]);
    let steps = 0;
    const count: Callback = { onBatchEnd: () => void steps++ };
    for (const other of [{ metrics: [] }, { validation: { split: 0.5 } }]) {
      await assertRejects(
        () => train({ ...other, callbacks: [count, log()] }),
        Error,
        `Cannot write the log ${file}: its first line is "epoch,loss,mae", but that of this run is "epoch,loss`,
      );
    }
    assertEquals([steps, Deno.readTextFileSync(file)], [0, text]);
    Deno.writeTextFileSync(file, text.slice(0, -3)); // a process was killed while it wrote
    await train({ callbacks: [log()] });
    const [, whole, broken, added] = Deno.readTextFileSync(file).split("\n");
    assertEquals([broken, added], [whole.slice(0, -2), whole]);
    Deno.writeTextFileSync(file, text.replaceAll("\n", "\r\n")); // as spreadsheets write it
    await train({ callbacks: [log()] });
    assertEquals(Deno.readTextFileSync(file), text.replaceAll("\n", "\r\n") + `${whole}\n`);
  },
);

testWithFile("csvLog: a resumed run goes on behind the lines up to its checkpoint", async (file) => {
  let saved: Uint8Array | undefined;
  const saver: Callback = {
    async onSave(context) {
      if (context.epoch === 1 && context.step === 1) saved = await context.save();
    },
  };
  await train({ epochs: 3, callbacks: [csvLog({ file })] });
  const whole = Deno.readTextFileSync(file);
  await train({ epochs: 3, callbacks: [saver, csvLog({ file })] }); // its lines of epochs 1 and 2 are replaced
  Deno.writeTextFileSync(file, "half a li", { append: true });
  await train({ epochs: 3, resume: saved, callbacks: [csvLog({ file })] });
  assertEquals(Deno.readTextFileSync(file), whole);

  Deno.truncateSync(file, 3);
  await assertRejects(
    () => train({ epochs: 3, resume: saved, callbacks: [csvLog({ file })] }),
    Error,
    "it has 3 bytes, but had",
  );
});

testWithFile("csvLog: a name with a comma is quoted", async (file) => {
  const metrics = [meanMetric({ name: 'a, "b"' })];
  await train({ metrics, callbacks: [csvLog({ file })] });
  assertEquals(Deno.readTextFileSync(file).split("\n")[0], 'epoch,loss,"a, ""b"""');
});

Deno.test("csvLog: a file that cannot be written, and odd options, are refused", async () => {
  await assertRejects(
    () => train({ callbacks: [csvLog({ file: "/proc/nowhere/log.csv" })] }),
    Error,
    "Cannot write the log /proc/nowhere/log.csv: ",
  );
  assertThrows(
    () => csvLog({ file: "a", format: "cvs" as "csv" }),
    RangeError,
    'the format "cvs": it is unknown',
  );
  assertThrows(() => csvLog({} as { file: string }), TypeError, "file is undefined");
  const append = "yes" as unknown as boolean;
  assertThrows(
    () => csvLog({ file: "a", append }),
    TypeError,
    'append is the text "yes", expected true or false',
  );
});
