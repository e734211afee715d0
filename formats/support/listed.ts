/** Lists in errors about files, kept short whatever a file has. */

/** How many items are listed. */
const MOST = 8;

/** The items with commas between, as many as can be shown, and how many more there are. */
export function listed(items: readonly string[], most = MOST): string {
  const more = items.length > most ? ` and ${items.length - most} more` : "";
  return items.slice(0, most).join(", ") + more;
}
