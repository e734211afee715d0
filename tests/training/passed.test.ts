import { assert, assertEquals } from "@std/assert";
import { batchNormalization } from "../../src/layers/batch_normalization.ts";
import { dense } from "../../src/layers/dense.ts";
import type { Variables } from "../../src/layers/layer.ts";
import { lstm } from "../../src/layers/lstm.ts";
import { sequential } from "../../src/models/sequential.ts";
import { zeros } from "../../src/operations/creation.ts";
import { init } from "../../src/models/init.ts";
import { key, normal } from "../../src/operations/random.ts";
import { type DeviceTensor, spec, type Tensor } from "../../src/tensor/tensor.ts";
import { toHost } from "../../src/tree/to_host.ts";
import { treeLeaves } from "../../src/tree/tree.ts";
import { evaluateWith, predictWith } from "../../src/training/predict.ts";
import { createTrainer } from "../../src/training/trainer.ts";

const x = normal(key(1), [6, 4, 3]) as Tensor, y = zeros([6, 2]);

const plain = sequential([batchNormalization(), lstm({ units: 5 }), dense({ units: 2 })]);
const carrying = sequential([batchNormalization(), lstm({ units: 5, stateful: true }), dense({ units: 2 })]);

async function values({ params, state }: Variables): Promise<(readonly number[])[]> {
  return treeLeaves<{ data: ArrayLike<number> }>(await toHost([params, state])).map(({ data }) =>
    Array.from(data)
  );
}

for (const device of ["reference", "wasm"] as const) {
  Deno.test(`on ${device} a prediction returns state that it leaves as it is, and carries in tensors of their own`, async () => {
    using trainer = createTrainer(carrying, { device });
    const variables = await trainer.upload(init(carrying, key(0), spec([6, null, 3])));
    const before = await values(variables);
    const predict = trainer.predictor(variables, x);
    const [, state] = await predict(variables.params, variables.state, x);
    const given = treeLeaves<Tensor>(variables.state);
    const isSame = treeLeaves<Tensor>(state).map((leaf, index) => leaf === given[index]);
    assertEquals(isSame.filter(Boolean).length, 2); // mean and variance
    assertEquals(isSame.filter((same) => !same).length, 2); // h and c
    assertEquals(await values(variables), before);
    const [, again] = await predict(variables.params, state, x);
    assert(treeLeaves<Tensor>(again).every((leaf) => !(leaf as DeviceTensor).disposed));
  });

  for (const [name, model] of Object.entries({ plain, carrying })) {
    Deno.test(`on ${device} variables of a ${name} model stay usable after predictions and evaluations`, async () => {
      using trainer = createTrainer(model, { device, loss: "meanSquaredError" });
      const variables = await trainer.upload(
        init(model, key(0), spec([model === carrying ? 6 : null, null, 3])),
      );
      const before = await values(variables);
      const batchSize = model === carrying ? 6 : 4;
      const expected = await predictWith(trainer, variables, x, { batchSize });
      const loss = await evaluateWith(trainer, variables, { x, y }, { batchSize });
      await trainer.predictOnBatch(variables, x);
      await trainer.testOnBatch(variables, { x, y });
      assertEquals(await predictWith(trainer, variables, x, { batchSize }), expected);
      assertEquals(await evaluateWith(trainer, variables, { x, y }, { batchSize }), loss);
      assertEquals(await values(variables), before);
    });
  }
}
