/** Why some of ONNX's node tests are refused although their operators are supported. */

/** Reasons, by what the error says or what the test is called. */
const REASONS: readonly { readonly error?: RegExp; readonly name?: RegExp; readonly why: string }[] = [];

/** The reason for which a test is refused, if it is a known one. */
export function knownRefusal(name: string, error: string): string | undefined {
  return REASONS.find((reason) => (reason.error?.test(error) ?? true) && (reason.name?.test(name) ?? true))?.why;
}
