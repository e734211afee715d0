/**
 * One worker's half of data-parallel training; parallel.py starts it and is the other half.
 *
 *     worker.ts RANK WORKERS DIGITS CHECKPOINT
 *
 * For every update it writes its gradients to the standard output and reads their mean over all workers from the
 * standard input, as safetensors files with their length before them (four bytes, the lowest first). It begins where
 * the checkpoint is, and the worker of rank 0 writes a new one every few updates.
 */
import { item, toHost } from "@cellfold/cellfold";
import { decodeSafetensors, encodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";
import { batchOf, compiledUpdate, type Digits, readState, UPDATES, writeState } from "./own_cell.ts";

/** How many updates lie between checkpoints. */
const EVERY = 8;

const [rank, workers] = Deno.args.map(Number);
const [, , digitsFile, checkpoint] = Deno.args;

const input = Deno.stdin.readable.getReader({ mode: "byob" });
const output = Deno.stdout.writable.getWriter();

async function send(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  await output.write(new Uint8Array(Uint32Array.of(bytes.length).buffer));
  await output.write(bytes);
}

async function take(count: number): Promise<Uint8Array> {
  const { value, done } = await input.read(new Uint8Array(count), { min: count });
  if (done || value.length < count) throw new Error("Cannot go on: parallel.py has ended");
  return value;
}

async function receive(): Promise<Uint8Array> {
  const [length] = new Uint32Array((await take(4)).slice().buffer);
  return await take(length);
}

const { x: images, y: labels } = decodeSafetensors(await Deno.readFile(digitsFile)).tensors;
const digits: Digits = { x: images, y: labels };
// The workers share this machine, so each computes on one thread.
const { gradients, apply } = compiledUpdate({ name: "wasm", threads: 1 });
let { state, updates } = await readState(checkpoint);
while (updates < UPDATES) {
  const { x, y } = batchOf(digits, updates, rank, workers);
  const [loss, own] = await toHost(await gradients(state.params, x, y));
  await send(
    encodeSafetensors(own, { metadata: { update: String(updates), loss: String(item(loss)) } }),
  );
  const mean = restoreTree(own, decodeSafetensors(await receive()).tensors);
  state = await apply(mean, state);
  updates++;
  if (rank === 0 && (updates % EVERY === 0 || updates === UPDATES)) {
    await writeState(checkpoint, state, updates);
  }
}
await output.close();
