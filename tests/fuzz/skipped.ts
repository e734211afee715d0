/** A property that has nothing to say about a case, and why. */
export class Skipped extends Error {
  override readonly name = "Skipped";
}
