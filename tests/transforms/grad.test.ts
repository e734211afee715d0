import { assertEquals, assertThrows } from "@std/assert";
import {
  add,
  exp,
  gather,
  grad,
  item,
  less,
  matmul,
  mean,
  mul,
  printProgram,
  scan,
  select,
  sin,
  spec,
  stopGradient,
  sum,
  tanh,
  type Tensor,
  tensor,
  toNested,
  trace,
  valueAndGrad,
  zeros,
} from "../../mod.ts";

const square = (x: Tensor) => sum(mul(x, x));

Deno.test("the gradient has the structure of the argument, whatever it is", () => {
  const loss = ({ layers, bias }: { layers: Tensor[]; bias: Tensor }) =>
    add(square(layers[0]), mul(square(layers[1]), bias));
  const gradient = grad(loss)({ layers: [tensor([1, 2]), tensor([[3]])], bias: tensor(2) });
  assertEquals(toNested(gradient.layers[0]), [2, 4]);
  assertEquals(toNested(gradient.layers[1]), [[12]]);
  assertEquals(toNested(gradient.bias), 9);
});

Deno.test("what does not matter has a gradient of zeros, of its own shape and dtype", () => {
  const x = tensor([1, 2], { dtype: "float64" });
  const loss = ({ used }: { used: Tensor; unused: Tensor; empty: Tensor }) => sum(used);
  const gradient = grad(loss)({ used: x, unused: tensor([[1, 2]]), empty: zeros([0, 3]) });
  assertEquals(
    gradient,
    {
      used: tensor([1, 1], { dtype: "float64" }),
      unused: zeros([1, 2]),
      empty: zeros([0, 3]),
    } as typeof gradient,
  );
  assertEquals(toNested(grad((_: Tensor) => tensor(3))(x)), [0, 0]);
  assertEquals(toNested(grad((x: Tensor) => sum(stopGradient(x)))(x)), [0, 0]);
});

Deno.test("another argument is chosen by its index", () => {
  const product = (a: Tensor, b: { w: Tensor }) => sum(mul(a, b.w));
  const [a, b] = [tensor([1, 2]), { w: tensor([3, 4]) }];
  assertEquals(toNested(grad(product)(a, b)), [3, 4]);
  assertEquals(toNested(grad(product, { argument: 1 })(a, b).w), [1, 2]);
  for (const argument of [2, -1, 0.5]) {
    assertThrows(() => grad(product, { argument })(a, b), RangeError, `argument ${argument}: 2 are given`);
  }
});

Deno.test("what is returned beside the value comes back, and has no part in the gradient", () => {
  const fn = (x: Tensor): [Tensor, { seen: Tensor; steps: Tensor; same: Tensor }] => [
    square(x),
    { seen: exp(x), steps: tensor(3, { dtype: "int32" }), same: x },
  ];
  const x = tensor([0, 1]);
  const [[value, aux], gradient] = valueAndGrad(fn)(x);
  assertEquals(item(value), 1);
  assertEquals(toNested(aux.seen), toNested(exp(x)));
  assertEquals([item(aux.steps), toNested(aux.same)], [3, [0, 1]]);
  assertEquals(toNested(gradient), [0, 2]);
});

Deno.test("a value that is no float scalar is refused, and what was given is named", () => {
  const refuse = (fn: (x: Tensor) => unknown, part: string) =>
    assertThrows(() => grad(fn as (x: Tensor) => Tensor)(tensor([1, 2])), TypeError, part); // as from JavaScript
  refuse((x) => x, "the function gives float32[2], expected a float scalar");
  refuse((x) => sum(less(x, 0) && tensor([1], { dtype: "int32" })), "int32[]");
  refuse(() => 3, "the function gives no tensor");
  refuse(() => undefined, "the function gives no tensor");
  refuse((x) => ({ loss: sum(x) }), "the function gives no tensor");
  refuse((x) => [sum(x), 3], "number 3 at result[1]");
});

Deno.test("a leaf that is no float is refused with its path", () => {
  const loss = ({ state }: { state: Tensor[] }) => sum(state[0]);
  assertThrows(
    () => grad(loss)({ state: [tensor([1]), tensor([2], { dtype: "int32" })] }),
    TypeError,
    "Cannot differentiate with respect to int32[1] at argument 0.state[1]: only floats have derivatives; pass it as another argument",
  );
  // As another argument it is welcome.
  const both = (x: Tensor, rows: Tensor) => sum(mul(x, gather(x, rows)));
  assertEquals(toNested(grad(both)(tensor([2]), tensor([0], { dtype: "int32" }))), [4]);
});

Deno.test("a gradient inside another closes over the outer one's tensors", () => {
  // d/dx [d/dy (x² y³)] at y = x, with x held inside: d/dx [3 x² y²] with y = x closed over as well: 3·4·x³.
  const inner = (x: Tensor) => grad((y: Tensor) => mul(mul(x, x), mul(y, mul(y, y))))(x);
  assertEquals(item(grad((x: Tensor) => inner(x))(tensor(2))), 12 * 8);
});

Deno.test("what a closure takes from outside is a constant to the inner gradient only", () => {
  const fn = (x: Tensor) => {
    const scaled = mul(x, 3);
    return sum(mul(grad((y: Tensor) => sum(mul(y, scaled)))(x), x)); // 3x · x
  };
  assertEquals(toNested(grad(fn)(tensor([1, 2]))), [6, 12]);
});

Deno.test("gradients nest to any depth", () => {
  let fn: (x: Tensor) => Tensor = sin;
  for (let times = 0; times < 4; times++) fn = grad(fn);
  assertEquals(item(fn(tensor(0.5, { dtype: "float64" }))), Math.sin(0.5));
});

Deno.test("two gradients of one function of a scan do not disturb each other", () => {
  const loss = (w: Tensor, x: Tensor) => {
    const step = (h: Tensor, v: Tensor): [Tensor, Tensor] => [h, tanh(add(matmul(h, w), v))];
    return square(scan(step, zeros([1, 1]), x)[1]);
  };
  const byW = grad(loss);
  const byX = grad(loss, { argument: 1 });
  const [w, x] = [tensor([[0.5]]), tensor([[[1], [2]]])];
  const both = (w: Tensor): [Tensor, Tensor[]] => [sum(w), [byW(w, x), byX(w, x), byW(w, x)]];
  const [[, together]] = valueAndGrad(both)(w);
  assertEquals(together.map(toNested), [byW(w, x), byX(w, x), byW(w, x)].map(toNested));
});

Deno.test("an argument that a scan ignores has a gradient of zeros", () => {
  const loss = (x: Tensor) => sum(scan((h: Tensor, _: Tensor) => [h, mul(h, 2)], tensor([1]), x)[0]);
  assertEquals(toNested(grad(loss)(tensor([[1, 2, 3]]))), [[0, 0, 0]]);
});

Deno.test("the branch of a select that is not taken passes nothing back", () => {
  const x = tensor([-1, 0, 2]);
  assertEquals(toNested(grad((x: Tensor) => sum(select(less(x, 1), mul(x, 3), mul(x, x))))(x)), [3, 3, 4]);
});

Deno.test("inputs with symbolic sizes can be differentiated by", () => {
  const { program } = trace(grad((x: Tensor) => mean(mul(x, x))), spec([null, 3]));
  assertEquals(String(program.outputs[0].shape), "batch,3");
  assertEquals(printProgram(program).includes("batch*3") || printProgram(program).includes("3*batch"), true);
});

Deno.test("the same tensor given twice has a gradient in each place", () => {
  const x = tensor([3]);
  const gradient = grad(([a, b]: Tensor[]) => sum(mul(a, b)))([x, x]);
  assertEquals(gradient.map(toNested), [[3], [3]]);
});
