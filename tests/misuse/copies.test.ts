/** Two copies of the library in one program know nothing of each other's sizes and traces: the errors say so. */
import * as cf from "@cellfold/cellfold";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);
const SAID = "another copy of the library";

async function copyFolder(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(new URL(`${name}/`, from), `${to}/${name}`);
    else await Deno.copyFile(new URL(name, from), `${to}/${name}`);
  }
}

/** Runs a test with a second copy of the library. */
async function withCopy(run: (copy: typeof cf) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const part of ["src", "kernels"]) await copyFolder(new URL(`${part}/`, ROOT), `${folder}/${part}`);
    await Deno.copyFile(new URL("mod.ts", ROOT), `${folder}/mod.ts`);
    await run(await import(`file://${folder}/mod.ts`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const mayCopy = (["read", "write"] as const).every((name) =>
  Deno.permissions.querySync({ name }).state === "granted"
);

Deno.test({
  name: "what another copy of the library made is refused as such" +
    (mayCopy ? "" : " (needs --allow-read --allow-write)"),
  ignore: !mayCopy,
  fn: () => refusesCopies(),
});

async function refusesCopies(): Promise<void> {
  await withCopy(async (copy) => {
    const x = cf.zeros([2, 4, 3]);
    const layer = copy.gru({ units: 2, returnSequences: true });
    const variables = copy.init(layer, cf.key(0), x);
    const { params, state } = cf.init(cf.dense({ units: 1 }), cf.key(0), cf.zeros([2, 3]));
    const fit = (options: Pick<cf.FitOptions, "loss" | "optimizer">) =>
      cf.fit(cf.dense({ units: 1 }), { params, state }, { x: cf.zeros([2, 3]), y: cf.zeros([2, 1]) }, {
        ...options,
        report: "none",
      });
    assertThrows(() => cf.zeros([copy.symbol("batch")]), TypeError, SAID);
    assertThrows(
      () => cf.init(cf.sequential([layer, cf.dense({ units: 1 })]), cf.key(0), cf.spec([null, null, 3])),
      TypeError,
      SAID,
    );
    assertThrows(() => cf.grad((x: cf.Tensor) => copy.sum(x))(x), TypeError, SAID);
    await assertRejects(() => cf.predict(layer, variables, x), TypeError, SAID);
    await assertRejects(() => fit({ loss: copy.huber(), optimizer: "sgd" }), TypeError, SAID);
    await assertRejects(() => fit({ loss: "mse", optimizer: copy.adam() }), TypeError, SAID);
    // Tensors are plain data, whoever made them.
    assertEquals(cf.toNested(cf.add(copy.ones([1]), cf.ones([1]))), [2]);
  });
}
