/** Checks of the options of a device, for the backends that have some. */
import { wrongKind } from "../src/describe.ts";
import { unknownName } from "../src/known_names.ts";
import { quoted } from "../src/quoted.ts";

/** @throws RangeError for an option that a device does not have, with the nearest one that it has. */
export function checkOptionNames(device: string, given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find((option) => !known.includes(option));
  if (unknown !== undefined) throw unknownName(`option of the device ${device}`, unknown, known);
}

/** @throws RangeError unless an option is absent or an integer within a range. */
export function checkWhole(
  device: string,
  option: string,
  value: number | undefined,
  { least, most = Infinity }: { readonly least: number; readonly most?: number },
): void {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
  const what = option === "threads" ? `${quoted(value)} threads` : `${option} ${quoted(value)}`;
  const range = most === Infinity ? `from ${least}` : `from ${least} to ${most}`;
  throw new RangeError(`Cannot use the device ${device} with ${what}: expected a whole number ${range}`);
}

/** @throws RangeError unless an option is absent or one of these names, with the nearest of them. */
export function checkOneOf(
  device: string,
  option: string,
  value: string | undefined,
  known: readonly string[],
): void {
  if (value === undefined || known.includes(value)) return;
  throw unknownName(`${option} of the device ${device}`, value, known);
}

/** @throws TypeError unless an option is absent, true or false. */
export function checkBoolean(device: string, option: string, value: boolean | undefined): void {
  if (value === undefined || typeof value === "boolean") return;
  throw wrongKind(`use the device ${device}`, value, option, "true or false");
}
