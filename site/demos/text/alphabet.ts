/** Characters and the tokens that stand for them. */

/** The distinct characters of a text by how often they occur, at most `most`. */
export function alphabetOf(text: string, most = 128): readonly string[] {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)!).slice(0, most); // each key has a count
}

/** The same text with the quotation marks and dashes of a typewriter. */
export function plain(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(/[“”„«»]/g, '"').replaceAll(/[‘’]/g, "'").replaceAll(
    /—/g,
    "--",
  );
}

/** The tokens of a text; characters that the model has never seen are left out. */
export function encode(text: string, alphabet: readonly string[]): Int32Array {
  const tokens = new Map(alphabet.map((character, token) => [character, token]));
  return Int32Array.from([...plain(text)].flatMap((character) => tokens.get(character) ?? []));
}
