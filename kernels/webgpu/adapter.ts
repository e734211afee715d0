/** The adapter of this machine, and what is missing if there is none. */

/** The machine's adapter, requested once; null if there is none. */
let adapter: Promise<GPUAdapter | null> | undefined;
/** The adapter, if there is one. */
export const requestAdapter = (): Promise<GPUAdapter | null> =>
  adapter ??= globalThis.navigator?.gpu?.requestAdapter().catch(() => null) ?? Promise.resolve(null);

/** What this machine lacks to run WebGPU, for people to read; undefined if it lacks nothing. */
export async function findMissing(): Promise<string | undefined> {
  if (!globalThis.navigator?.gpu) {
    return "there is no WebGPU (navigator.gpu), which a page has over https only";
  }
  return await requestAdapter() === null ? "there is no WebGPU adapter" : undefined;
}

/** Whether an adapter computes on the CPU. */
export function isSoftwareAdapter({ info }: GPUAdapter): boolean {
  return /llvmpipe|swiftshader|software|basic render/i.test(
    `${info.description} ${info.device} ${info.architecture}`,
  );
}
