/**
 * The peers written in JavaScript, at these npm versions. They are imported by computed names when they are
 * measured, so that checking and testing the library downloads none of them.
 */
const VERSIONS = {
  "onnxruntime-web": "1.30.0",
  "onnxruntime-node": "1.30.0",
  "@jax-js/jax": "0.1.25",
  "@tensorflow/tfjs": "4.22.0",
  "@tensorflow/tfjs-backend-wasm": "4.22.0",
  "@tensorflow/tfjs-backend-webgpu": "4.22.0",
} as const;

/** A package by name. */
export type PeerPackage = keyof typeof VERSIONS;

/**
 * Imports a package or an entry point of it, such as `/webgpu`; `Module` is the part of it that is used, as
 * its own types are not available for checking.
 */
export async function importPeer<Module>(name: PeerPackage, entry = ""): Promise<Module> {
  const module: Module = await import(`npm:${name}@${VERSIONS[name]}${entry}`);
  return module;
}

/** The versions of some packages. */
export function versionsOf(...names: readonly PeerPackage[]): { readonly [name: string]: string } {
  return Object.fromEntries(names.map((name) => [name, VERSIONS[name]]));
}
