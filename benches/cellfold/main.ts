/** Cellfold as a subject of the benchmark: `main.ts THREADS [DEVICE]`. */
import { compile, type Device, type Tensor } from "@cellfold/cellfold";
import type { Task } from "../support/tasks.ts";
import type { Trial } from "../support/messages.ts";
import { askedThreads, serve } from "../support/serve.ts";
import { checkpointTrial } from "./checkpoint.ts";
import { compileTrial } from "./compile.ts";
import { droppedTrial } from "./dropped.ts";
import { firstCallTrial } from "./first_call.ts";
import { epochTrial } from "./epoch.ts";
import { feedTrial } from "./feed.ts";
import { growthTrial } from "./growth.ts";
import { killedTrial } from "./killed.ts";
import { dataFor, lossOf, modelOf, nestedDataFor, nestedModel } from "./models.ts";
import { pairsTrial } from "./pairs.ts";
import { predictLoopTrial, predictTrial } from "./predict.ts";
import { sessionsTrial, stepIntoTrial, streamTrial } from "./stream.ts";
import { streamsTrial } from "./streams.ts";
import { STEPS, trainTrial } from "./train.ts";

const threads = askedThreads();
// The device uses as many threads as the machine reports when it is first used.
Object.defineProperty(navigator, "hardwareConcurrency", { value: threads });
const device = Deno.args[1] === "wasm-wide"
  ? { name: "wasm", wide: true } as const
  : Deno.args[1] as Device | undefined; // a word; an unknown device is rejected

async function prepare(task: Task): Promise<Trial> {
  switch (task.kind) {
    case "train":
      return await trainTrial(modelOf(task), dataFor(task, STEPS), {
        ...lossOf(task),
        batchSize: task.batch,
        device,
      });
    case "predict":
      return await predictTrial(task, device);
    case "nested":
      return await trainTrial(nestedModel(task), nestedDataFor(task, STEPS), {
        loss: "mse",
        optimizer: "adam",
        batchSize: task.batch,
        device,
      });
    case "stream":
      return await streamTrial(task, device);
    case "stepInto":
      return await stepIntoTrial(task, device);
    case "sessions":
      return await sessionsTrial(task, device);
    case "compile":
      return compileTrial(task, { device, threads });
    case "firstCall":
      return firstCallTrial(task, device);
    case "growth":
      return growthTrial(task, device);
    case "checkpoint":
      return await checkpointTrial(task, { device, threads });
    case "epoch":
      return await epochTrial(task, device);
    case "predictLoop":
      return await predictLoopTrial(task, device);
    case "feed":
      return await feedTrial(task, device);
    case "pairs":
      return pairsTrial(task, device);
    case "streams":
      return streamsTrial(task, device);
    case "dropped":
      return droppedTrial(task, device);
    case "killed":
      return killedTrial(task, Deno.args[1]);
  }
}

const identity = compile((x: Tensor) => x, { device });
await serve({ versions: { Deno: Deno.version.deno, V8: Deno.version.v8, device: identity.device }, prepare });
