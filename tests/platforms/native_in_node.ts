/**
 * For a test: trains on native in Node, beside wasm, and prints what came of it. Node of the oldest version that is
 * tested has no `using`.
 */
import {
  compile,
  dense,
  explain,
  fit,
  type HostTensor,
  init,
  key,
  lstm,
  normal,
  sequential,
  square,
  type Tensor,
  tensor,
} from "../../mod.ts";
import { flattenTree } from "../../src/tree/tree.ts";
import { enableNative } from "../../kernels/native/node/mod.ts";

const model = sequential([lstm({ units: 24 }), dense({ units: 2 })]);
const data = { x: normal(key(1), [64, 9, 5]), y: normal(key(2), [64, 2]) };

/** The loss of each epoch, and the sum of the trained weights. */
async function train(device: "wasm" | "native") {
  const { variables, history } = await fit(model, init(model, key(0), data.x), data, {
    loss: "mse",
    optimizer: "adam",
    batchSize: 24, // with a last batch that is smaller
    epochs: 3,
    report: "none",
    device,
  });
  const weights = flattenTree<HostTensor>(variables.params).leaves.flatMap(({ data }) => [...data]);
  return { losses: history.loss, weights };
}

const attempt = async () => {
  await compile((x: Tensor) => square(x), { device: "native" })(tensor([1]));
};

const before = await attempt().then(() => "it ran", (error) => error.message);
await enableNative();
const f = compile((x: Tensor) => square(x));
await f(tensor([1, 2, 3]));
// More than the buffer that JavaScript sees at first.
const g = compile((x: Tensor) => square(x), { device: "native" });
const large = await g(normal(key(3), [3000, 3000])) as HostTensor;
console.log(JSON.stringify({
  before,
  auto: f.device,
  explained: explain(g).includes("| APART void fused_"),
  large: Math.max(...large.data.subarray(-1000)),
  wasm: await train("wasm"),
  native: await train("native"),
}));
