/** What a cell displays while it runs: the messages of Jupyter's protocol themselves, which a notebook does not keep. */
import type { Jupyter } from "./jupyter.ts";

const PROGRAM = decodeURIComponent(new URL("./messages.py", import.meta.url).pathname);

/** A message that displays something, or displays it anew. */
export interface DisplayMessage {
  readonly type: "display_data" | "update_display_data";
  /** What is displayed anew by later messages with the same name. */
  readonly display: string;
  readonly text: string;
}

/** Runs code in a kernel that is started in a folder; what is displayed, in order. */
export async function messagesOf(
  { python, env }: Jupyter,
  folder: URL,
  code: string,
): Promise<readonly DisplayMessage[]> {
  const child = new Deno.Command(python, {
    args: [PROGRAM, decodeURIComponent(folder.pathname)],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`the cell fails: ${new TextDecoder().decode(stderr)}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
