/** The bundle in Node: the same losses as in Deno, by a process that ends by itself. */
import { assertEquals } from "@std/assert";
import { bundleInto } from "./support/bundles.ts";
import { assertLossesOfDeno } from "./support/expected.ts";
import { findCommand, missingPermissions, runProcess, testInFolder } from "./support/requirements.ts";

const OLDEST = 22;

const node = await findCommand(
  [["node"], ["npx", "-y", `node@${OLDEST}`]],
  (version) => Number(/^v(\d+)\./.exec(version)?.[1]) >= OLDEST,
);
const missing = missingPermissions.length > 0 ? missingPermissions : node ? [] : [`Node ${OLDEST}`];

const PROGRAM = `
  import * as cellfold from "./cellfold.js";
  import { smoke } from "./smoke.js";
  console.log(JSON.stringify(await smoke(cellfold)));
`;

testInFolder(
  "the bundle trains in Node as in Deno, and the process ends by itself",
  missing,
  async (folder) => {
    await bundleInto(folder);
    await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify({ type: "module" }));
    await Deno.writeTextFile(`${folder}/program.js`, PROGRAM);
    const { code, signal, out, err } = await runProcess([...node ?? [], "program.js"], {
      cwd: folder,
      seconds: 60,
    });
    assertEquals({ code, signal }, { code: 0, signal: null }, err);
    await assertLossesOfDeno(JSON.parse(out));
  },
);
