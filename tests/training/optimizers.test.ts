import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { traceFlat } from "../../src/program/trace.ts";
import { type HostTensor, item, spec, type Tensor, tensor, toNested } from "../../src/tensor/tensor.ts";
import {
  adam,
  adamw,
  type Optimizer,
  optimizerNames,
  type OptimizerState,
  resolveOptimizer,
  rmsprop,
  sgd,
} from "../../src/training/optimizers.ts";
import { exponentialDecay } from "../../src/training/schedules.ts";
import {
  assertClose,
  camelCase,
  mayReadCases,
  oracleCases,
  type OracleTensors,
  tensorOf,
} from "../support/oracle.ts";

const factories = { SGD: sgd, RMSprop: rmsprop, Adam: adam } as const;

/** The optimizer of an oracle's case. */
function optimizerOf(
  { class_name, config }: { class_name: keyof typeof factories; config: object },
): Optimizer {
  return factories[class_name](Object.fromEntries(Object.entries(config).map(([k, v]) => [camelCase(k), v])));
}

function tree(tensors: OracleTensors, keys: readonly string[]): Record<string, Tensor> {
  return Object.fromEntries(keys.map((key) => [key, tensorOf(tensors[key])]));
}

Deno.test({
  name: "optimizers follow Keras's trajectories, given its gradients",
  ignore: !mayReadCases,
  async fn() {
    const cases = (await oracleCases("training")).filter(({ layer }) => layer.endsWith(".train"));
    assert(cases.length >= 15);
    for (const { name, config, weights, steps } of cases) {
      const optimizer = optimizerOf(config.optimizer as Parameters<typeof optimizerOf>[0]); // as the format says
      const keys = Object.keys(steps[0].grads);
      let params = tree(weights, keys);
      let state = optimizer.init(params);
      steps.forEach(({ grads, weights_after }, step) => {
        [params, state] = optimizer.update(tree(grads, keys), state, params);
        for (const key of keys) {
          assertClose(params[key] as HostTensor, weights_after[key], 1e-4, `${name}, step ${step}, ${key}`); // eager
        }
      });
      assertEquals(item(state.step), steps.length);
    }
  },
});

/** Values of a single weight, 1 at first, over steps with these gradients. */
function trajectory(optimizer: Optimizer, gradients: readonly number[]): number[] {
  let params = { w: tensor([1]) as Tensor };
  let state: OptimizerState = optimizer.init(params);
  return gradients.map((gradient) => {
    [params, state] = optimizer.update({ w: tensor([gradient]) as Tensor }, state, params);
    return Number((toNested(params.w) as number[])[0]); // a list of one
  });
}

function assertTrajectory(
  optimizer: Optimizer,
  gradients: readonly number[],
  expected: readonly number[],
): void {
  trajectory(optimizer, gradients).forEach((value, step) => assertAlmostEquals(value, expected[step], 2e-6));
}

Deno.test("sgd with momentum, Nesterov's and weight decay", () => {
  assertTrajectory(sgd({ learningRate: 0.1 }), [1, 2], [0.9, 0.7]);
  assertTrajectory(sgd({ learningRate: 0.1, momentum: 0.5 }), [1, 1], [0.9, 0.75]);
  assertTrajectory(sgd({ learningRate: 0.1, momentum: 0.5, nesterov: true }), [1, 1], [0.85, 0.675]);
  assertTrajectory(sgd({ learningRate: 0.1, weightDecay: 0.5 }), [1], [1 - 0.05 - 0.1]);
});

Deno.test("rmsprop, centered too", () => {
  const first = 1 - 0.1 * 2 / Math.sqrt(0.4);
  assertTrajectory(rmsprop({ learningRate: 0.1 }), [2, 1], [first, first - 0.1 / Math.sqrt(0.36 + 0.1)]);
  // The mean of gradients is 0.2, its square 0.04.
  assertTrajectory(rmsprop({ learningRate: 0.1, centered: true }), [2], [1 - 0.2 / Math.sqrt(0.4 - 0.04)]);
});

Deno.test("adam, amsgrad and adamw", () => {
  // Freed of their bias, the means after the first step are the gradient and its square: a step of the rate.
  assertTrajectory(adam({ learningRate: 0.1 }), [3], [0.9]);
  assertTrajectory(adamw({ learningRate: 0.1, weightDecay: 0.5 }), [3], [0.85]);
  // A large gradient, then none: the mean of squares falls, with amsgrad it stays.
  const [beta1, beta2] = [0.9, 0.5];
  const alpha = 0.1 * Math.sqrt(1 - beta2 ** 2) / (1 - beta1 ** 2);
  const momentum = 0.1 * 4 * beta1;
  const options = { learningRate: 0.1, beta1, beta2 };
  assertTrajectory(adam(options), [4, 0], [0.9, 0.9 - alpha * momentum / Math.sqrt(8 * beta2)]);
  assertTrajectory(adam({ ...options, amsgrad: true }), [4, 0], [0.9, 0.9 - alpha * momentum / Math.sqrt(8)]);
  assertTrajectory(adam({ learningRate: 0.1, beta1: 0 }), [3], [0.9]);
});

Deno.test("gradients are clipped by value, by norm and by the norm of all", () => {
  const params = { a: tensor([0, 0]), b: tensor([0]) };
  const gradients = { a: tensor([3, 4]), b: tensor([12]) };
  const step = (options: object) => {
    const optimizer = sgd({ learningRate: 1, ...options });
    return toNestedTree(optimizer.update(gradients, optimizer.init(params), params)[0]);
  };
  const toNestedTree = ({ a, b }: typeof params) =>
    [...a.data, ...b.data].map((value) => Math.round(-value * 1e5) / 1e5);
  assertEquals(step({ clipvalue: 3.5 }), [3, 3.5, 3.5]);
  assertEquals(step({ clipnorm: 2.5 }), [1.5, 2, 2.5]);
  assertEquals(step({ globalClipnorm: 6.5 }), [1.5, 2, 6]);
  assertEquals(step({ globalClipnorm: 100 }), [3, 4, 12]);
});

Deno.test("a learning-rate schedule sees the number of updates before", () => {
  const learningRate = exponentialDecay({ initialLearningRate: 0.5, decaySteps: 1, decayRate: 0.5 });
  assertTrajectory(sgd({ learningRate }), [1, 1, 1], [0.5, 0.25, 0.125]);
  assertEquals(sgd({ learningRate }).options.learningRate, {
    type: "exponentialDecay",
    options: { initialLearningRate: 0.5, decaySteps: 1, decayRate: 0.5, staircase: false },
  });
});

Deno.test("every optimizer can be traced, and gives trees like those it was given", () => {
  const params = { kernel: tensor([[1, 2]]), rest: [tensor([3])] };
  for (const name of optimizerNames) {
    const optimizer = resolveOptimizer(name);
    const state = optimizer.init(params);
    assertEquals(state.step.dtype, "int32");
    traceFlat([spec([1, 2]), spec([1])], ([kernel, bias]) => {
      const given = { kernel: kernel as Tensor, rest: [bias as Tensor] };
      const [next, nextState] = optimizer.update(given, state, given);
      assertEquals(Object.keys(nextState).sort(), Object.keys(state).sort());
      assertEquals(nextState.step.dtype, "int32");
      return { outputs: [next.kernel, next.rest[0]], result: undefined };
    });
  }
});

Deno.test("options and trees that do not fit are refused", () => {
  assertThrows(() => resolveOptimizer("adma" as "adam"), RangeError, 'did you mean "adam"'); // no name
  assertThrows(() => adam({ lerningRate: 1 } as object), RangeError, 'did you mean "learningRate"'); // no option
  assertThrows(() => sgd({ clipnorm: 1, clipvalue: 1 }), RangeError, "clipnorm and clipvalue are given");
  assertThrows(() => sgd({ clipnorm: 0 }), RangeError, "expected a number above 0");
  assertThrows(() => sgd({ learningRate: -1 }), RangeError, "learningRate is -1");
  assertThrows(() => sgd({ momentum: 2 }), RangeError, "from 0 to 1");
  const optimizer = sgd();
  const params = { w: tensor([1]) as Tensor };
  const state = optimizer.init(params);
  const update = (gradients: unknown, old = state) => () =>
    optimizer.update(gradients as typeof params, old, params); // wrong on purpose
  assertThrows(update({ v: tensor([1]) }), TypeError, "the gradients");
  assertThrows(update({ w: tensor([1, 2]) }), TypeError, "params.w");
  const other = adam();
  assertThrows(() => other.update(params, state, params), TypeError, "the state has no momentum");
});
