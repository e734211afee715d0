/** The model files of a folder, and what their own frameworks compute, which `outputs.py` wrote beside them. */
import type { HostTensor } from "@cellfold/cellfold";
import { decodeSafetensors } from "@cellfold/cellfold/safetensors";

/** Endings of files that hold a model or its weights. */
const ENDINGS = /\.(onnx|h5|hdf5|keras|pt|npz|safetensors)$/;

/** The files, relative to the folder, in order; without the outputs. */
export async function modelFiles(folder: string, within = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${folder}/${within}`)) {
    const path = `${within}${name}`;
    if (isDirectory && path !== "outputs") found.push(...await modelFiles(folder, `${path}/`));
    else if (ENDINGS.test(name)) found.push(path);
  }
  return found.sort();
}

/** Inputs and outputs of a model, by name. */
export interface Expected {
  readonly inputs: Readonly<Record<string, HostTensor>>;
  readonly outputs: Readonly<Record<string, HostTensor>>;
}

/** What the model's own framework computes; undefined if it cannot run it. */
export async function expectedOf(folder: string, path: string): Promise<Expected | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(`${folder}/outputs/${path.replaceAll("/", "__")}.safetensors`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const { tensors } = decodeSafetensors(bytes);
  const part = (prefix: string) =>
    Object.fromEntries(
      Object.entries(tensors).filter(([name]) => name.startsWith(prefix)).map(([name, tensor]) =>
        [name.slice(prefix.length), tensor] as const
      ),
    );
  return { inputs: part("in:"), outputs: part("out:") };
}
