/** The stored files of these tests. */
import { gunzip } from "../../../../src/data/gzip.ts";

const folder = new URL("../fixtures/", import.meta.url);

/** Whether they may be read here; tests that need them are ignored otherwise. */
export const mayRead: boolean =
  Deno.permissions.querySync({ name: "read", path: folder }).state === "granted";

/** What a test's name says where it is ignored. */
export const readNeeds: string = mayRead ? "" : " (needs --allow-read)";

/** The text of one of them, which is compressed. */
export async function fixtureText(name: string): Promise<string> {
  return new TextDecoder().decode(await gunzip(await Deno.readFile(new URL(name, folder))));
}
