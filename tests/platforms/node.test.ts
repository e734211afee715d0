/** The bundle in Node: the same losses as in Deno, by a process that ends by itself. */
import { assert, assertEquals } from "@std/assert";
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

/** A run that kills itself at its eleventh step, unless it is told not to. */
const KILLED = `
  import { checkpoint, dense, fit, init, key, normal, sequential, lstm } from "./cellfold.js";
  const [directory, killed] = process.argv.slice(2);
  const model = sequential([lstm({ units: 4, dropout: 0.3 }), dense({ units: 1 })]);
  const data = { x: normal(key(1), [32, 4, 3]), y: normal(key(2), [32, 1]) };
  let steps = 0;
  const kill = { onBatchEnd: () => killed && ++steps === 11 && process.kill(process.pid, "SIGKILL") };
  const { variables, history } = await fit(model, init(model, key(0), data.x), data, {
    loss: "mse",
    optimizer: "adam",
    batchSize: 8,
    epochs: 5,
    report: "none",
    callbacks: [checkpoint({ directory, every: { steps: 3 } }), kill],
    resume: { directory, optional: true },
  });
  console.log(JSON.stringify([variables, history]));
`;

testInFolder("a run that is killed in Node goes on bit for bit", missing, async (folder) => {
  await bundleInto(folder);
  await Deno.writeTextFile(`${folder}/package.json`, JSON.stringify({ type: "module" }));
  await Deno.writeTextFile(`${folder}/killed.js`, KILLED);
  const run = (...args: string[]) =>
    runProcess([...node ?? [], "killed.js", ...args], { cwd: folder, seconds: 60 });
  const whole = await run("whole");
  assertEquals(whole.code, 0, whole.err);
  const killed = await run("parts", "killed");
  assert(killed.code !== 0);
  const names = [...Deno.readDirSync(`${folder}/parts`)].map(({ name }) => name);
  assert(names.includes("checkpoint-0000000009.safetensors"), names.join());
  const resumed = await run("parts");
  assertEquals([resumed.code, resumed.out], [0, whole.out], resumed.err);
});

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
