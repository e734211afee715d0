/** A folder that looks like MNIST, for tests of the examples. */
import { generatedDigits } from "../../../examples/support/generated_digits.ts";
import { type HostTensor, tensor } from "../../../src/tensor/tensor.ts";

/** Writes the four IDX files, with as many generated digits to train with and to test. */
export async function writeDigits(
  folder: string,
  counts: { readonly train: number; readonly t10k: number },
): Promise<void> {
  const write = async (name: string, { shape, data }: HostTensor, scale: number) => {
    const sizes = shape.flatMap((dim) => [0, 0, dim >> 8, dim & 0xff]);
    const bytes = Uint8Array.from(data, (value) => Math.round(value * scale));
    await Deno.writeFile(`${folder}/${name}`, new Uint8Array([0, 0, 8, shape.length, ...sizes, ...bytes]));
  };
  for (const [part, count] of Object.entries(counts)) {
    const { images, labels } = generatedDigits(tensor([1, count], { dtype: "int32" }), count);
    await write(`${part}-images-idx3-ubyte`, images, 255);
    await write(`${part}-labels-idx1-ubyte`, labels, 1);
  }
}
