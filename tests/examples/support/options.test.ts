import { assertEquals, assertThrows } from "@std/assert";
import { parseOptions } from "../../../examples/support/options.ts";

Deno.test("parseOptions has a default for everything but the data, the device and the batches", () => {
  assertEquals(parseOptions([]), {
    data: undefined,
    full: false,
    batches: undefined,
    epochs: 1,
    seed: 0,
    device: undefined,
    curve: "mnist-curve.svg",
  });
});

Deno.test("parseOptions skips a leading -- and takes values after a space or an =", () => {
  const options = parseOptions(["--", "--data", "digits", "--batches=3", "--curve", "a=b.svg", "--seed=7"]);
  assertEquals([options?.data, options?.batches, options?.curve, options?.seed], ["digits", 3, "a=b.svg", 7]);
  assertEquals(parseOptions(["--full", "--device", "reference"])?.full, true);
});

Deno.test("parseOptions gives nothing where help is asked for", () => {
  assertEquals(parseOptions(["--seed", "1", "--help"]), undefined);
});

Deno.test("parseOptions refuses what it does not know, naming the nearest", () => {
  assertThrows(() => parseOptions(["--ful"]), RangeError, 'did you mean "--full"?');
  assertThrows(() => parseOptions(["digits"]), RangeError, '"digits"');
  assertThrows(() => parseOptions(["--full", "--"]), RangeError, '"--"');
});

Deno.test("parseOptions refuses values that are missing, superfluous, repeated or no numbers", () => {
  assertThrows(() => parseOptions(["--data"]), RangeError, "--data: it needs a value");
  assertThrows(() => parseOptions(["--data", "--full"]), RangeError, "--data: it needs a value");
  assertThrows(() => parseOptions(["--data="]), RangeError, "--data: it needs a value");
  assertThrows(() => parseOptions(["--full=yes"]), RangeError, "--full a value");
  assertThrows(() => parseOptions(["--seed", "1", "--seed", "2"]), RangeError, "--seed twice");
  assertThrows(
    () => parseOptions(["--batches", "0"]),
    RangeError,
    "--batches 0: expected a whole number from 1",
  );
  assertThrows(() => parseOptions(["--epochs", "1.5"]), RangeError, "--epochs 1.5");
  assertThrows(() => parseOptions(["--full", "--batches", "2"]), RangeError, "--full with --batches");
});
