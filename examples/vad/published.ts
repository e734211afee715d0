/**
 * Silero's detector of voices, as the package @ricky0123/vad-web publishes it (the model under the MIT license,
 * Silero Team, 2024). It comes through Deno's package registry, and stays in Deno's cache.
 */

const PACKAGE = "npm:@ricky0123/vad-web@0.0.31";
const FILE = "dist/silero_vad_v5.onnx";
const SHA256 = "2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f";

/**
 * The file, 2.3 MB. The first call downloads the package and what it depends on, 150 MB.
 *
 * @throws Error if the registry cannot be reached and the cache has no copy, or if this is another file.
 */
export async function publishedDetector(): Promise<Uint8Array<ArrayBuffer>> {
  // Computed names, so that checking the examples downloads nothing. A file can be imported once its package is known.
  await import(`${PACKAGE}/package.json`, { with: { type: "json" } });
  const module: { default: Uint8Array<ArrayBuffer> } = await import(`${PACKAGE}/${FILE}`, {
    with: { type: "bytes" },
  });
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", module.default)).toHex();
  if (digest === SHA256) return module.default;
  throw new Error(`Cannot use ${FILE} of ${PACKAGE}: its SHA-256 is ${digest}, expected ${SHA256}`);
}
