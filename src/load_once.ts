/** Code that is loaded when it is first needed. */

/**
 * A function that loads once, and again after a failure: a network may come back.
 *
 * @param load Imports what is needed.
 */
export function loadOnce<Loaded>(load: () => Promise<Loaded>): () => Promise<Loaded> {
  let loading: Promise<Loaded> | undefined;
  return () =>
    loading ??= load().catch((error) => {
      loading = undefined;
      throw error;
    });
}
