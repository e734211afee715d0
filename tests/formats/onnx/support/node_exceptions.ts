/** Why some of ONNX's node tests cannot pass although their operators are supported. */

/** Reasons, by what the error says or what the tests are called. */
const REASONS: readonly { readonly error?: RegExp; readonly name?: RegExp; readonly why: string }[] = [
  {
    error: /its type of elements is (\d+|string), expected/,
    why: "elements of a byte or less that are floats, and of less than a byte, are not read",
  },
  {
    error: /its operator sets: the version is 1, expected/,
    why: "operator sets before version 7 are not read",
  },
  { name: /^test_scan_sum$/, why: "Scan was another operator before version 9" },
  { name: /^test_batchnorm_\w+_training_mode$/, why: "a model is trained here by fit, not by its operators" },
  { error: /\(MaxPool\): it has 2 outputs/, why: "MaxPool does not say where the largest elements are" },
  { name: /^test_training_dropout/, why: "dropout draws other random numbers, and only in training" },
];

/** The reason for which a test does not pass, if it is a known one. */
export function knownReason(name: string, said: string): string | undefined {
  return REASONS.find(({ error, name: names }) => (error?.test(said) ?? true) && (names?.test(name) ?? true))
    ?.why;
}
