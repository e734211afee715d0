/** Subjects in processes of their own: the conversation, and what goes wrong in it. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { INPUT, onnxModel, OUTPUT } from "../../benches/peers/onnx_model.ts";
import { integer, message, text } from "../../benches/peers/protobuf.ts";
import { TextLineStream } from "../../benches/support/lines.ts";
import { SubjectProcess } from "../../benches/support/process.ts";
import { Contest } from "../../benches/support/rounds.ts";
import { launchOf } from "../../benches/support/subjects.ts";
import { smallTask } from "../../benches/support/tasks.ts";
import { workloads } from "../../benches/workloads.ts";

const mayRun = Deno.permissions.querySync({ name: "run" }).state === "granted" &&
  Deno.permissions.querySync({ name: "read" }).state === "granted"; // execPath

/** A test that starts processes; without the permissions it is reported as ignored. */
function testWithProcesses(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: mayRun ? name : `${name} (needs --allow-run --allow-read)`, ignore: !mayRun, fn });
}

const lines = async (...chunks: string[]) =>
  await Array.fromAsync(ReadableStream.from(chunks).pipeThrough(new TextLineStream()));

Deno.test("text is cut at its line ends, wherever its chunks end", async () => {
  assertEquals(await lines("a\nb", "c\r\n", "\nd"), ["a", "bc", "", "d"]);
  assertEquals(await lines(), []);
});

Deno.test("messages are written as Protocol Buffers say", () => {
  // The examples of the documentation of the encoding: field 1 = 150, field 2 = "testing", field 3 = a message.
  assertEquals([...integer(1, 150)], [0x08, 0x96, 0x01]);
  assertEquals([...text(2, "testing")], [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
  assertEquals([...message(3, [integer(1, 150)])], [0x1a, 0x03, 0x08, 0x96, 0x01]);
});

Deno.test("the ONNX model names its input and output and holds all weights", () => {
  const [batch, time, features, units] = [2, 3, 4, 5];
  const model = onnxModel({ kind: "predict", cell: "lstm", batch, time, features, units });
  const written = new TextDecoder("latin1").decode(model);
  for (const name of [INPUT, OUTPUT, "LSTM", "BatchNormalization", "Gemm"]) {
    assert(written.includes(name), name);
  }
  const weights = 4 * units * (features + units + 2) + 4 * units + units * 10 + 10;
  assert(model.length > 4 * weights && model.length < 4 * weights + 1000, `${model.length} bytes`);
});

testWithProcesses("a subject answers, tells what it cannot do, and goes on", async () => {
  await using subject = await SubjectProcess.start(
    "cellfold",
    1,
    launchOf("cellfold", { threads: 1, device: "reference" }),
  );
  assertEquals(subject.versions.device, "reference");
  await assertRejects(() => subject.run(), Error, "nothing was prepared");
  await subject.prepare(smallTask({ kind: "stream", features: 2, units: 3 }));
  assert((await subject.run()).time > 0);
  await subject.release();
  await assertRejects(() => subject.run(), Error, "nothing was prepared");
});

testWithProcesses("a subject that ends is an error, not a wait", async () => {
  const launch = { command: Deno.execPath(), args: ["eval", "console.error('out of luck')"] };
  await assertRejects(() => SubjectProcess.start("jax", 1, launch), Error, "jax ended");
});

Deno.test("peers in Python need one that is named", () => {
  assertThrows(() => launchOf("keras", { threads: 1 }), Error, "CELLFOLD_PYTHON");
});

testWithProcesses(
  "workloads run at small sizes; a peer that does not start is told and left out",
  async () => {
    const told: string[] = [];
    await using contest = new Contest({
      runs: 2,
      peers: ["pytorch"],
      device: "reference",
      log: (line) => told.push(line),
      taskOf: smallTask,
    });
    const some = [
      "guide/train",
      "nested-state/train",
      "cliff/mask-holes",
      "life/pairs",
      "life/streams",
      "life/dropped",
      "memory/steps",
      "memory/checkpoint",
    ];
    for (const workload of workloads.filter(({ name }) => some.includes(name))) {
      const [own, ...others] = await contest.run([workload]);
      assertEquals([own.workload, own.subject, others.length], [workload.name, "cellfold", 0]);
      assertEquals(own.times.length, Math.min(2, workload.runs ?? 2));
      assert(own.times.every((time) => time > 0), workload.name);
    }
    assertEquals(told.length, 2, "with 1 and with 2 threads");
    assert(told[0].startsWith("guide/train: pytorch with 1 threads is left out: CELLFOLD_PYTHON"), told[0]);
  },
);
