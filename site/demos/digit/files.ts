/** Files of the site. */
import { withBase } from "vitepress";

/**
 * The bytes of a file below `public/`.
 *
 * @throws Error with the path and the status if there is no such file.
 */
export async function load(path: string): Promise<Uint8Array> {
  const response = await fetch(withBase(path));
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
