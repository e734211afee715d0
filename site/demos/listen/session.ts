/** Sound on its way to the model: from a recording or a microphone through the worklet, until it is stopped. */
import type { Variables } from "@cellfold/cellfold";
import { RATE } from "./listen.ts";
import { type Heard, type Order, PROCESSOR, type Report } from "./messages.ts";

/** Where the sound comes from: samples at the model's rate, or whoever speaks. */
export type Source = Float32Array<ArrayBuffer> | "microphone";

/** What is told while sound goes on. */
export interface Listening {
  /** What was heard in the next blocks. */
  heard(heard: Heard): void;
  /** The recording is over. */
  ended(): void;
}

/** Sound that is listened to. */
export interface Session {
  /** Milliseconds of a step, on the audio thread. */
  readonly milliseconds: number;
  stop(): Promise<void>;
}

/**
 * Begins to listen, in a context that is closed when the session stops or cannot begin. Throws what the browser throws, such
 * as a `NotAllowedError` where it may not use a microphone.
 */
export async function listen(
  context: AudioContext,
  source: Source,
  variables: Variables,
  worklet: string,
  { heard, ended }: Listening,
): Promise<Session> {
  let microphone: MediaStream | undefined;
  const stop = async () => {
    for (const track of microphone?.getTracks() ?? []) track.stop();
    if (context.state !== "closed") await context.close();
  };
  try {
    if (source === "microphone") microphone = await askForMicrophone();
    await context.audioWorklet.addModule(worklet);
    const node = new AudioWorkletNode(context, PROCESSOR);
    const milliseconds = await opened(node, variables, heard);
    // The worklet is silent, but a node is run only where its sound would arrive.
    node.connect(context.destination);
    await context.resume();
    if (microphone) context.createMediaStreamSource(microphone).connect(node);
    else if (source !== "microphone") play(source, context, node, ended);
    const close: Order = { kind: "close" };
    return {
      milliseconds,
      async stop() {
        node.port.onmessage = null;
        node.port.postMessage(close);
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The microphone as it is: what would clean its sound up takes voices for granted. */
async function askForMicrophone(): Promise<MediaStream> {
  if (!navigator.mediaDevices) {
    throw new DOMException("There is no access to microphones", "NotSupportedError");
  }
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: true };
  return await navigator.mediaDevices.getUserMedia({ audio });
}

/** Sends the model to the worklet, and waits until it is compiled there; returns the milliseconds of a step. */
function opened(node: AudioWorkletNode, variables: Variables, heard: Listening["heard"]): Promise<number> {
  return new Promise((resolve, reject) => {
    node.port.onmessage = ({ data }: MessageEvent<Report>) => {
      if (data.kind === "heard") heard(data);
      else if (data.kind === "ready") resolve(data.milliseconds);
      else reject(new Error(data.message));
    };
    node.onprocessorerror = () => reject(new Error("The audio worklet failed"));
    const order: Order = { kind: "open", variables };
    node.port.postMessage(order);
  });
}

/** Plays samples, to be heard and listened to. */
function play(
  samples: Float32Array<ArrayBuffer>,
  context: AudioContext,
  node: AudioWorkletNode,
  ended: () => void,
): void {
  const source = context.createBufferSource();
  source.buffer = context.createBuffer(1, samples.length, RATE);
  source.buffer.copyToChannel(samples, 0);
  source.onended = ended;
  source.connect(node);
  source.connect(context.destination);
  source.start();
}
