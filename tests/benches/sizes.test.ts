/** How large the library is in a page: what was promised, and what the README says. */
import { assert, assertAlmostEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

/** The most kilobytes that a page which only predicts may load first. */
const MOST_TO_PREDICT = 60;

/** How far the README's figures may be from what is printed, in kilobytes. */
const TOLERANCE = 2;

const mayRun = Deno.permissions.querySync({ name: "run" }).state === "granted" &&
  Deno.permissions.querySync({ name: "read" }).state === "granted"; // execPath
const name = "a page that predicts loads as little as was promised, and the README has the sizes";

Deno.test({
  name: mayRun ? name : `${name} (needs --allow-run --allow-read)`,
  ignore: !mayRun,
  fn: async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-read", "--allow-env", "--allow-run", "--no-lock", "benches/sizes.ts"],
      cwd: ROOT,
      stdout: "piped",
      stderr: "piped",
    }).output();
    const printed = new TextDecoder().decode(stdout);
    assert(code === 0, new TextDecoder().decode(stderr));
    const sizes = [...printed.matchAll(/: (\d+) kB gzipped/g)].map(([, size]) => Number(size));
    const [all, first, predicting, onWasm] = sizes;
    assert(sizes.length === 4, printed);
    assert(predicting <= MOST_TO_PREDICT, printed);

    const readme = await Deno.readTextFile(new URL("README.md", ROOT));
    const found = /library is (\d+) kB, of which a page first loads (\d+), or (\d+) to predict, then (\d+)/
      .exec(
        readme.replaceAll("\n", " "),
      );
    assert(found, "the README has the sizes");
    const written = found.slice(1).map(Number);
    [all, first, predicting, onWasm - predicting].forEach((size, index) =>
      assertAlmostEquals(written[index], size, TOLERANCE)
    );
  },
});
