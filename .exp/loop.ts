import { createTrainer, init, key } from "@cellfold/cellfold";
import { dataFor, lossOf, modelOf } from "../benches/cellfold/models.ts";
import * as W from "../benches/workloads.ts";
const name = Deno.args[0];
const shape = name === "ln" ? { ...W.GUIDE, variant: "layer-norm" } : W.GUIDE;
console.log(shape);
const data = dataFor(shape as any, 1), model = modelOf(shape as any), variables = init(model, key(0), data.x);
const trainer = createTrainer(model, { ...lossOf(shape as any), device: { name: "native", threads: Number(Deno.args[1] ?? 2) } as any });
let state: any = await trainer.trainOnBatch({ variables }, data);
const end = performance.now() + 6000; let n = 0;
while (performance.now() < end) { state = await trainer.trainOnBatch(state, data); n++; }
console.log(name, (6000 / n).toFixed(3), "ms");
