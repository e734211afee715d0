/**
 * Microseconds of a 32-ms frame in Silero's published detector of voices, beside onnxruntime:
 * `deno run -A --no-lock benches/vad.ts [--rounds=N]`.
 *
 * Each is given its state back. `wasm` and `native` on one thread take turns with onnxruntime-web and onnxruntime-node
 * on one thread, a few frames each, as the machine may be shared: the ratio is that of neighbors, and the median counts.
 */
import { type FileForm, frameStep } from "../examples/vad/runtime.ts";
import { FRAME, framesOf, openDetector, readDetector } from "../examples/vad/detector.ts";
import { publishedDetector } from "../examples/vad/published.ts";
import { RATE, record } from "../examples/vad/sounds.ts";
import { importPeer, versionsOf } from "./peers/versions.ts";
import { machineLine } from "./support/machine.ts";
import { median } from "./support/statistics.ts";

const rounds = Number(Deno.args.find((arg) => arg.startsWith("--rounds="))?.slice(9) ?? 60);
const file = await publishedDetector();
const frames = framesOf(record("voice", RATE, 1));
const { model, variables, units } = readDetector(file);
const form: FileForm = {
  frame: [1, FRAME],
  state: { input: "state", output: "stateN", shape: [2, 1, units] },
  sr: RATE,
};

const DEVICES = { wasm: { name: "wasm", threads: 1 }, native: { name: "native", threads: 1 } } as const;

/** Gives the probability of a voice in a frame. */
type Step = (frame: Float32Array) => number | Promise<number>;

async function ours(device: keyof typeof DEVICES): Promise<Step> {
  const stream = await openDetector(model, variables, DEVICES[device]);
  const probability = new Float32Array(1);
  return (frame) => {
    stream.step(frame, probability);
    return probability[0];
  };
}

const peer = async (name: "onnxruntime-web" | "onnxruntime-node"): Promise<Step> =>
  (await frameStep(await importPeer(name), file, form)).step;

/** Milliseconds of a turn, by frame; throws where the last probability is none. */
async function turn(step: Step): Promise<number> {
  const begun = performance.now();
  let last = 0;
  for (const frame of frames) last = await step(frame);
  const took = (performance.now() - begun) / frames.length;
  if (!(last > 0 && last < 1)) throw new Error(`A probability is ${last}`);
  return took;
}

console.log(await machineLine());
console.log("| Device, one thread | µs a frame | Peer, one thread | µs a frame | Ratio |");
console.log("| --- | --- | --- | --- | --- |");
for (const [device, name] of [["wasm", "onnxruntime-web"], ["native", "onnxruntime-node"]] as const) {
  const [one, other] = [await ours(device), await peer(name)];
  const times: [number, number][] = [];
  for (let round = -5; round < rounds; round++) {
    const pair: [number, number] = [await turn(one), await turn(other)];
    if (round >= 0) times.push(pair); // the first ones warm up
  }
  const middle = (which: 0 | 1) => Math.round(1000 * median(times.map((pair) => pair[which])));
  const ratio = median(times.map(([mine, theirs]) => mine / theirs)).toFixed(2);
  const [version] = Object.values(versionsOf(name));
  console.log(`| ${device} | ${middle(0)} | ${name} ${version} | ${middle(1)} | ${ratio} |`);
}
Deno.exit(); // onnxruntime keeps the process alive
