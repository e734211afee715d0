import { assertEquals, assertThrows } from "@std/assert";
import {
  add,
  compile,
  mul,
  printProgram,
  reshape,
  scan,
  spec,
  stopGradient,
  sum,
  type Tensor,
  tensor,
  trace,
  zeros,
} from "../../mod.ts";
import { runProgram } from "../../kernels/reference/mod.ts";
import { isTracing } from "../../src/program/trace.ts";

const traceOne = (fn: (x: Tensor) => unknown, ...shape: (number | null)[]) => trace(fn, spec(shape)).program;

Deno.test("a traced tensor that leaked from an ended trace is refused, with the remedy", () => {
  let leaked: Tensor = tensor(0);
  traceOne((x) => leaked = x, 2);
  assertThrows(
    () => add(leaked, 1),
    TypeError,
    "Cannot use a traced float32[2] outside the function that was traced: return it",
  );
  assertThrows(
    () => traceOne((x) => add(x, leaked), 2),
    TypeError,
    "return it from that function instead of storing it",
  );
});

Deno.test("a traced tensor that leaked from the step of a scan is refused", () => {
  let leaked: Tensor = tensor(0);
  const run = (x: Tensor) => {
    scan(
      (h: Tensor, v: Tensor) => {
        leaked = v;
        return [h, h];
      },
      zeros([2]),
      x,
    );
    return add(leaked, 1);
  };
  assertThrows(() => traceOne(run, 2, 3), TypeError, "outside the function that was traced");
  assertThrows(() => run(zeros([2, 3])), TypeError, "outside the function that was traced");
});

Deno.test("a device tensor cannot be closed over, and the error says to pass it", async () => {
  using keep = compile((x: Tensor) => mul(x, 2), { device: "reference", keep: true });
  const there = await keep(tensor([1, 2]));
  assertThrows(
    () => traceOne((x) => add(x, there), 2),
    TypeError,
    "Cannot close over float32[2] on the device reference: pass it to the compiled function as an argument",
  );
  assertThrows(() => add(there, 1), TypeError, "read the tensor with await toHost(tensor)");
});

Deno.test("a trace that throws leaves no trace open", () => {
  assertThrows(() =>
    traceOne((x) => {
      scan(
        () => {
          throw new Error("inside");
        },
        x,
        zeros([2, 3]),
      );
    }, 2)
  );
  assertEquals(isTracing(), false);
  assertEquals(add(tensor(1), 1), tensor(2));
});

Deno.test("an output may be an input, a constant, or given twice", () => {
  const constant = tensor([5, 6]);
  const program = traceOne((x) => {
    const y = mul(x, 2);
    return { x, again: x, constant, y: [y, y], renamed: [reshape(y, [1, 2]), stopGradient(x)] };
  }, 2);
  const given = tensor([1, 2]);
  const results = runProgram(program, [given]);
  const [again, fixed, renamed, stopped, x, y, y2] = results.map(({ data }) => Array.from(data));
  assertEquals([again, fixed, renamed, stopped, x, y, y2], [[1, 2], [5, 6], [2, 4], [1, 2], [1, 2], [2, 4], [
    2,
    4,
  ]]);
  const memory = new Set([given, constant, ...results].map(({ data }) => data.buffer));
  assertEquals(memory.size, results.length + 2, "no two results, and no input and result, share memory");
});

Deno.test("an input that nobody reads stays an input", () => {
  const { program } = trace((_: unknown, x: Tensor) => x, { unused: [spec([3]), spec([])] }, spec([2]));
  assertEquals(program.inputs.length, 3);
  assertEquals(
    runProgram(program, [zeros([3]), zeros([]), tensor([1, 2])].map((x) => x as ReturnType<typeof tensor>))[0]
      .data,
    new Float32Array([1, 2]),
  ); // eager results are on the host
});

Deno.test("large constants closed over by a step are passed to it, small ones are written into it", () => {
  const large = tensor([1, 2, 3]);
  const program = traceOne(
    (x) => scan((h: Tensor, v: Tensor) => [mul(v, large), add(h, 1)], zeros([2]), x),
    2,
    4,
    3,
  );
  const text = printProgram(program);
  assertEquals(text.split("constant [1, 2, 3]").length - 1, 1);
  const [, body] = text.split("scan");
  assertEquals(body.includes("constant [1, 2, 3]"), false);
  assertEquals(body.includes("constant 1 :"), true);
});

Deno.test("the same scalar is one constant, but -0 is not 0 and int32 not float32", () => {
  const text = printProgram(
    traceOne((x) => [add(x, 2), mul(x, 2), add(x, 0), add(x, -0), tensor(2, { dtype: "int32" })]),
  );
  assertEquals(text.match(/= constant/g)?.length, 4);
});

Deno.test("a function that is async or gives no tree is refused", () => {
  assertThrows(
    () => trace(async (x: Tensor) => await x, spec([])),
    TypeError,
    "Cannot trace an async function",
  );
  assertThrows(() => trace(() => ({ loss: 3 })), TypeError, "number 3 at result.loss");
  assertThrows(() => trace(() => undefined), TypeError, "Cannot use undefined at result");
});

Deno.test("an async function that fails after its trace ended does not end the process", async () => {
  const late = async (x: Tensor) => {
    await Promise.resolve();
    return sum(x);
  };
  assertThrows(() => trace(late, spec([2])), TypeError, "Cannot trace an async function");
  await new Promise((resolve) => setTimeout(resolve)); // an unhandled rejection would fail this test
});
