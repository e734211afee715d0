/** The devices that a demo can offer in this browser. */

/** A device that computes in pages. */
export type PageDevice = "wasm" | "webgpu";

/** Returns `wasm`, and `webgpu` where there is an adapter. */
export async function pageDevices(): Promise<readonly PageDevice[]> {
  // `navigator.gpu` is missing in browsers without WebGPU, whatever the types say.
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu;
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return adapter ? ["wasm", "webgpu"] : ["wasm"];
}

/** Lets the page draw and react before work goes on. */
export function nextFrame(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
