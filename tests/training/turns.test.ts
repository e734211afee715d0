/** Long work gives others their turn and hears abort signals; mistakes are named where they enter. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as cellfold from "../../mod.ts";
import { turnsOf } from "../../src/pause.ts";

const { dense, evaluate, fit, hostTensor, init, key, predict, sequential, lstm, tensor, zeros } = cellfold;
const model = sequential([lstm({ units: 8 }), dense({ units: 1 })]);
const x = hostTensor(new Float32Array(20_000 * 10 * 4), [20_000, 10, 4]);
const data = { x, y: zeros([20_000, 1]) };
const variables = init(model, key(0), x);
const options = { loss: "mse", optimizer: "sgd", report: "none", device: "reference", batchSize: 8 } as const;
const slow = { device: "reference", batchSize: 8 } as const;

Deno.test("an abort from a timer reaches predict, evaluate and the validation of fit", async () => {
  const signal = () => AbortSignal.timeout(120); // each of them would take many seconds
  await assertRejects(() => predict(model, variables, x, { ...slow, signal: signal() }), DOMException);
  await assertRejects(
    () => evaluate(model, variables, data, { ...slow, loss: "mse", signal: signal() }),
    DOMException,
  );
  const small = { x: zeros([4, 10, 4]), y: zeros([4, 1]) };
  const { stopped, history } = await fit(model, variables, small, {
    ...options,
    validation: data,
    signal: signal(),
  });
  assertEquals([stopped, history.loss.length], ["aborted", 0]);
});

Deno.test("a signal that was aborted before rejects with its reason", async () => {
  const reason = new RangeError("enough");
  const signal = AbortSignal.abort(reason);
  await assertRejects(() => predict(model, variables, x, { signal }), RangeError, "enough");
  await assertRejects(() => evaluate(model, variables, data, { loss: "mse", signal }), RangeError, "enough");
});

Deno.test("a turn is a task, whatever the runtime makes tasks with", async () => {
  const { setImmediate } = globalThis as { readonly setImmediate?: (task: () => void) => unknown };
  for (const host of [{ setImmediate }, { MessageChannel }, { setTimeout }]) {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 0);
    const turn = turnsOf(host);
    for (let count = 0; count < 1000 && ticks === 0; count++) await turn();
    clearInterval(timer);
    assert(ticks > 0);
  }
  await turnsOf({})(); // an audio worklet has none of them, and goes on
});

/** What engines say of values that nobody checked. */
const UNCHECKED =
  /Cannot read properties|is not a function$|is not iterable|Maximum call stack|Cannot destructure|Cannot convert (undefined|object)/;

Deno.test("what is no tensor, tree, layer or variables is named where it is given", async () => {
  // deno-lint-ignore no-explicit-any -- what people try
  const loose = (value: unknown) => value as any;
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const mistakes =
    () => [undefined, null, 5, "text", [1, 2], Promise.resolve(1), () => 1, { a: 1 }, new Map(), cyclic];
  const o = { ...options, epochs: 1 };
  const small = { x: zeros([4, 10, 4]), y: zeros([4, 1]) };
  const calls: Record<
    string, // deno-lint-ignore no-explicit-any -- what people try
    (bad: any) => unknown
  > = {
    init: (bad) => init(bad, key(0), x),
    initKey: (bad) => init(model, bad, x),
    initInput: (bad) => init(model, key(0), bad),
    fitModel: (bad) => fit(bad, variables, small, o),
    fitVariables: (bad) => fit(model, bad, small, o),
    fitData: (bad) => fit(model, variables, bad, o),
    predictModel: (bad) => predict(bad, variables, small.x),
    predictVariables: (bad) => predict(model, bad, small.x),
    predictData: (bad) => predict(model, variables, bad),
    evaluateData: (bad) => evaluate(model, variables, bad, { loss: "mse" }),
    compile: (bad) => typeof bad === "function" ? bad : cellfold.compile(bad),
    grad: (bad) => typeof bad === "function" ? bad : cellfold.grad(bad)(zeros([2])),
    streaming: (bad) => cellfold.streaming(model, bad),
    summary: (bad) => cellfold.summary(bad, x),
    toJson: (bad) => cellfold.toJson(bad),
    sequential: (bad) => sequential(bad),
    add: (bad) => cellfold.add(bad, zeros([2])),
    sum: (bad) => cellfold.sum(bad),
    matmul: (bad) => cellfold.matmul(zeros([2, 2]), bad),
    concat: (bad) => cellfold.concat(bad),
    slice: (bad) => cellfold.slice(bad, { start: [0], size: [1] }),
    einsum: (bad) => cellfold.einsum("ij,jk->ik", zeros([2, 2]), bad),
    zeros: (bad) => zeros(bad),
    getWeights: (bad) => cellfold.getWeights(bad),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const bad of mistakes()) {
      try {
        await call(loose(bad));
      } catch (error) {
        assert(error instanceof Error && !UNCHECKED.test(error.message), `${name}: ${error}`);
      }
    }
  }
  await assertRejects(
    () => fit(model, loose(Promise.resolve(variables)), small, o),
    TypeError,
    "forgotten await",
  );
  await assertRejects(
    () => fit(model, variables, small, loose({ ...o, validation: 0.2 })),
    TypeError,
    "{ split: 0.2 }",
  );
  assertThrows(() => cellfold.add(loose([1]), loose([2])), TypeError, "tensor(...)");
  assertThrows(() => tensor([[1, 2], [3]]), RangeError, "padSequences");
});
