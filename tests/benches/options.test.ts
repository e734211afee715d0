/** The command line of the benchmark. */
import { assertEquals, assertThrows } from "@std/assert";
import { HELP, parseOptions, PEERS } from "../../benches/support/options.ts";
import { workloads } from "../../benches/workloads.ts";

const names = workloads.map(({ name }) => name);
const parse = (...args: string[]) => parseOptions(args, names);

Deno.test("without options everything of Cellfold is measured, 20 runs each, and no peer", () => {
  const options = parse();
  assertEquals([options.only, options.peers, options.runs, options.threads], [undefined, [], 20, undefined]);
  assertEquals(
    [options.json, options.markdown, options.device, options.profile],
    new Array(4).fill(undefined),
  );
  assertEquals([options.small, options.help], [false, false]);
});

Deno.test("values follow their option after a space or an equals sign, and a leading -- is skipped", () => {
  const spaced = parse(
    "--",
    "--only",
    "cliff,guide/train",
    "--runs",
    "3",
    "--threads",
    "1",
    "--json",
    "a.json",
  );
  assertEquals(spaced, parse("--only=cliff,guide/train", "--runs=3", "--threads=1", "--json=a.json"));
  assertEquals(spaced.only, ["cliff", "guide/train"]);
  assertEquals([spaced.runs, spaced.threads, spaced.json], [3, 1, "a.json"]);
});

Deno.test("--peers is all of them, or those it names", () => {
  assertEquals(parse("--peers").peers, PEERS);
  assertEquals(parse("--peers", "--small").peers, PEERS);
  assertEquals(parse("--peers=jax,pytorch").peers, ["jax", "pytorch"]);
});

Deno.test("what is unknown is refused with the nearest known name", () => {
  assertThrows(() => parse("--run", "3"), RangeError, "--runs");
  assertThrows(() => parse("--only", "guide/trian"), RangeError, "guide/train");
  assertThrows(() => parse("--profile", "gudie/train"), RangeError, "guide/train");
  assertThrows(() => parse("--peers=pytroch"), RangeError, "pytorch");
});

Deno.test("what does not fit is refused", () => {
  assertThrows(() => parse("--runs", "0"), RangeError, "a whole number from 1");
  assertThrows(() => parse("--threads=two"), RangeError, "a whole number from 1");
  assertThrows(() => parse("--json"), RangeError, "it needs a value");
  assertThrows(() => parse("--json", "--peers"), RangeError, "it needs a value");
  assertThrows(() => parse("--small=1"), RangeError, "it takes none");
  assertThrows(() => parse("--small", "--small"), RangeError, "twice");
});

Deno.test("the help names every option that is taken", () => {
  for (
    const option of ["peers", "only", "json", "markdown", "device", "threads", "runs", "profile", "small"]
  ) {
    assertEquals(HELP.includes(`--${option}`), true, option);
  }
});
