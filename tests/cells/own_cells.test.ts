/** A cell of one's own, typed by interfaces: no cast, nothing to inherit, and it goes wherever a built-in cell goes. */
import { assertEquals } from "@std/assert";
import {
  add,
  bidirectional,
  fit,
  fromJson,
  init,
  key,
  lstmCell,
  matmul,
  normal,
  type RecurrentCell,
  rnn,
  sequential,
  spec,
  stackedCells,
  tanh,
  type Tensor,
  toJson,
  treeLeaves,
  zeros,
} from "@cellfold/cellfold";
import { fixedSize } from "@cellfold/cellfold/internal";

interface Params {
  readonly kernel: Tensor;
}

interface State {
  readonly h: Tensor;
  readonly pair: readonly [Tensor, Tensor];
}

interface Inputs {
  readonly video: Tensor;
  readonly audio: Tensor;
}

const plainCell = (units: number): RecurrentCell<Params, Tensor, Tensor, Tensor> => ({
  type: "plainCell",
  options: { units },
  initParams: (key, input) => ({ kernel: normal(key, [fixedSize(input, 1), units]) }),
  initState: (_, input) => zeros([input.shape[0], units]),
  step: ({ kernel }) => (h, x) => {
    const next = tanh(add(matmul(x, kernel), h));
    return [next, next];
  },
});

const namedCell = (units: number): RecurrentCell<Params, State, Inputs, { out: Tensor }> => ({
  type: "namedCell",
  options: { units },
  initParams: (key, { video }) => ({ kernel: normal(key, [fixedSize(video, 1), units]) }),
  initState: (_, { audio }) => {
    const h = zeros([audio.shape[0], units]);
    return { h, pair: [h, h] };
  },
  step: ({ kernel }) => ({ h, pair: [first] }, { video, audio }) => {
    const next = tanh(add(add(matmul(video, kernel), h), audio));
    return [{ out: next }, { h: next, pair: [next, first] }];
  },
});

Deno.test("a cell typed by interfaces trains, stacks, goes both ways and is loaded from JSON", async () => {
  const model = sequential([
    bidirectional(rnn(plainCell(3), { returnSequences: true })),
    rnn(stackedCells([plainCell(4), lstmCell({ units: 2 })])),
  ]);
  const loaded = fromJson(toJson(model), {
    cells: { plainCell: ({ units }) => plainCell(Number(units)) },
  });
  assertEquals(toJson(loaded), toJson(model));
  const x = normal(key(1), [8, 5, 3]);
  const { history } = await fit(loaded, init(loaded, key(0), x), { x, y: zeros([8, 2]) }, {
    loss: "mse",
    optimizer: "adam",
    epochs: 5,
    report: "none",
  });
  assertEquals(history.loss[4] < history.loss[0], true);
});

Deno.test("a cell may take, keep and put out named tensors", () => {
  const layer = rnn(namedCell(2));
  const input = { video: spec([null, null, 3]), audio: spec([null, null, 2]) };
  assertEquals(treeLeaves<Tensor>(layer.initParams(key(0), input)).map(({ shape }) => shape), [[3, 2]]);
});
