import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { addDims, symbol } from "../../../src/tensor/dims.ts";
import type { DeviceTensor, HostTensor } from "../../../src/tensor/tensor.ts";
import type { Equation, Program, Value } from "../../../src/program/types.ts";
import { ReferenceTensor } from "../../../kernels/reference/device_tensor.ts";
import { evaluate, reference, runProgram } from "../../../kernels/reference/mod.ts";
import { counting, equation, flat, list, value } from "./helpers.ts";

/** `(x, y) -> (x + y, -x)` over `[batch, 2]`. */
function sumAndNegative(): Program {
  const batch = symbol("batch");
  const [x, y, sum, negative] = [value([batch, 2]), value([batch, 2]), value([batch, 2]), value([batch, 2])];
  return {
    inputs: [x, y],
    equations: [equation("add", [x, y], [sum], {}), equation("neg", [x], [negative], {})],
    outputs: [sum, negative],
  };
}

function onDevice(tensor: HostTensor | DeviceTensor): DeviceTensor {
  assert(tensor.kind === "device");
  return tensor;
}

function onHost(tensor: HostTensor | DeviceTensor): HostTensor {
  assert(tensor.kind === "host");
  return tensor;
}

const HOST_ONLY = { donate: [false, false], keep: [false, false] };

Deno.test("a planned Program gives what its equations give one by one, at every run", () => {
  const programs = fc.record({
    steps: fc.array(
      fc.record({
        name: fc.constantFrom("add", "mul", "neg", "reshape", "stopGradient", "constant"),
        reads: fc.tuple(fc.nat(), fc.nat()),
      }),
      { maxLength: 25 },
    ),
    outputs: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
    runs: fc.array(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 6, maxLength: 6 }), {
      minLength: 1,
    }),
  });
  return fc.assert(
    fc.asyncProperty(programs, async ({ steps, outputs, runs }) => {
      const inputs = [value([3]), value([3])];
      const known: Value[] = [...inputs];
      const equations: Equation[] = steps.map(({ name, reads }, step) => {
        const [a, b] = reads.map((index) => known[index % known.length]);
        const made = value([3]);
        known.push(made);
        switch (name) {
          case "add":
          case "mul":
            return equation(name, [a, b], [made], {});
          case "reshape":
            return equation(name, [a], [made], { shape: [3] });
          case "constant":
            return equation(name, [], [made], { value: flat([step, 1, -step], [3]) });
          default:
            return equation(name as "neg" | "stopGradient", [a], [made], {}); // the rest of the list above
        }
      });
      const program: Program = {
        inputs,
        equations,
        outputs: outputs.map((index) => known[index % known.length]),
      };
      using executable = await reference.compile(program, {
        donate: [false, false],
        keep: outputs.map(() => false),
      });
      for (const numbers of runs) {
        const values = new Map([
          [inputs[0], flat(numbers.slice(0, 3), [3])],
          [inputs[1], flat(numbers.slice(3), [3])],
        ]);
        const read = (of: Value) => values.get(of) as HostTensor; // every value is made before it is read
        for (const each of equations) {
          values.set(each.outputs[0], evaluate(each, each.inputs.map(read), each.outputs)[0]);
        }
        const expected = program.outputs.map((output) => list(read(output)));
        const actual = (await executable.run(inputs.map(read))).map(onHost).map(list);
        assertEquals(actual, expected);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("sizes are read off the inputs of each call, and outputs outlive later calls", async () => {
  using executable = await reference.compile(sumAndNegative(), HOST_ONLY);
  const results: HostTensor[][] = [];
  for (const batch of [1, 3, 0, 1, 5, 6, 7, 8, 9, 10, 11, 12, 1]) {
    const outputs = await executable.run([counting([batch, 2]), counting([batch, 2])]);
    results.push(outputs.map(onHost));
  }
  assertEquals(list(results[0][0]), [2, 4]);
  assertEquals(list(results[1][0]), [2, 4, 6, 8, 10, 12]);
  assertEquals(results[2][1].shape, [0, 2]);
  assertEquals(list(results[12][1]), [-1, -2]);
  assertStringIncludes(executable.describe(), "prepared for {batch=12}");
});

Deno.test("inputs that do not fit are refused by count, dtype and shape", async () => {
  using executable = await reference.compile(sumAndNegative(), HOST_ONLY);
  const x = counting([3, 2]);
  await assertRejects(() => executable.run([x]), TypeError, "1 inputs: expected 2");
  await assertRejects(
    () => executable.run([x, counting([3, 2], "int32")]),
    TypeError,
    "int32[3, 2] as input 1: expected float32[batch, 2]",
  );
  await assertRejects(() => executable.run([x, counting([4, 2])]), RangeError, "batch is 3 in input 0");
  await assertRejects(() => executable.run([counting([3, 4]), x]), RangeError, "input 0 of shape [3, 4]");
});

Deno.test("a size that follows from a symbol is checked", () => {
  const time = symbol("time");
  const [x, shorter] = [value([time]), value([addDims(time, -1)])];
  const program: Program = { inputs: [x, shorter], equations: [], outputs: [shorter] };
  assertEquals(list(runProgram(program, [counting([4]), counting([3])])[0]), [1, 2, 3]);
  assertThrows(() => runProgram(program, [counting([4]), counting([4])]), RangeError, "time-1 is 3 here");
});

Deno.test("a kept output stays on the device, feeds later calls and is read back as a copy", async () => {
  using executable = await reference.compile(sumAndNegative(), {
    donate: [false, false],
    keep: [true, false],
  });
  const x = counting([2, 2]);
  const first = onDevice((await executable.run([x, x]))[0]);
  assertEquals([first.device, first.shape, first.dtype], ["reference", [2, 2], "float32"]);
  const second = onDevice((await executable.run([first, await reference.upload(x)]))[0]);
  const copy = await first.read();
  copy.data.fill(0);
  assertEquals(list(await first.read()), [2, 4, 6, 8]);
  assertEquals(list(await second.read()), [3, 6, 9, 12]);
  first[Symbol.dispose]();
  assert(first.disposed && !second.disposed);
  await assertRejects(() => first.read(), Error, "Cannot use a float32[2, 2] on reference: it was disposed");
});

Deno.test("uploading copies", async () => {
  const x = counting([3]);
  const uploaded = await reference.upload(x);
  x.data.fill(0);
  assertEquals(list(await uploaded.read()), [1, 2, 3]);
});

Deno.test("a donated tensor is disposed by the call, which says so when it is used again", async () => {
  using executable = await reference.compile(sumAndNegative(), { donate: [true, false], keep: [true, true] });
  const [x, y] = [await reference.upload(counting([2, 2])), counting([2, 2])];
  const results = (await executable.run([x, y])).map(onDevice);
  assert(x.disposed);
  await assertRejects(
    () => executable.run([x, y]),
    Error,
    "Cannot use a float32[2, 2] on reference: it was donated to an earlier call; use that call's result",
  );
  assertEquals(list(await results[0].read()), [2, 4, 6, 8]);
  assertEquals(list(await results[1].read()), [-1, -2, -3, -4]);
});

Deno.test("a kept output gets the memory of a donated input of its dtype and size", async () => {
  using executable = await reference.compile(sumAndNegative(), { donate: [true, false], keep: [true, true] });
  const x = new ReferenceTensor(new Float32Array([1, 2]), [1, 2], "float32");
  const memory = x.values;
  const [sum, negative] = await executable.run([x, counting([1, 2])]);
  assert(sum instanceof ReferenceTensor && negative instanceof ReferenceTensor);
  assert(sum.values === memory && negative.values !== memory);
});

Deno.test("a call that fails does not take what it was donated", async () => {
  using executable = await reference.compile(sumAndNegative(), { donate: [true, true], keep: [true, true] });
  const x = await reference.upload(counting([2, 2]));
  await assertRejects(() => executable.run([x, counting([3, 2])]), RangeError);
  assertEquals(list(await x.read()), [1, 2, 3, 4]);
});

Deno.test("outputs that are donated inputs survive any rewiring", () => {
  const pick = fc.nat({ max: 3 });
  const wirings = fc.record({
    wiring: fc.array(pick, { minLength: 1, maxLength: 5 }),
    donate: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
    keep: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
  });
  return fc.assert(fc.asyncProperty(wirings, async ({ wiring, donate, keep }) => {
    const inputs = [value([2]), value([2]), value([2])];
    const negative = value([2]);
    const program: Program = {
      inputs,
      equations: [equation("neg", [inputs[0]], [negative], {})],
      outputs: wiring.map((place) => [...inputs, negative][place]),
    };
    const numbers = [[1, 2], [3, 4], [5, 6], [-1, -2]];
    using executable = await reference.compile(program, { donate, keep: wiring.map((_, i) => keep[i]) });
    const given = await Promise.all(numbers.slice(0, 3).map((pair) => reference.upload(flat(pair, [2]))));
    const outputs = await executable.run(given);
    const owned = outputs.map((output) =>
      output instanceof ReferenceTensor ? output.values : onHost(output).data
    );
    assertEquals(new Set(owned).size, outputs.length, "no two outputs share memory");
    await executable.run(
      await Promise.all(numbers.slice(0, 3).map(() => reference.upload(flat([0, 0], [2])))),
    );
    for (const [i, output] of outputs.entries()) {
      const host = output.kind === "device" ? await output.read() : output;
      assertEquals(list(host), numbers[wiring[i]]);
      if (output.kind === "host") output.data.fill(99);
    }
    assertEquals(given.map((tensor) => tensor.disposed), [...donate]);
    for (const [i, tensor] of given.entries()) {
      if (!tensor.disposed) assertEquals(list(await tensor.read()), numbers[i]);
    }
  }));
});

Deno.test("tensors of another device are refused by name", async () => {
  using executable = await reference.compile(sumAndNegative(), HOST_ONLY);
  const foreign: DeviceTensor = {
    kind: "device",
    device: "webgpu",
    shape: [2, 2],
    dtype: "float32",
    disposed: false,
    read: () => Promise.resolve(counting([2, 2])),
    [Symbol.dispose]: () => {},
  };
  await assertRejects(
    () => executable.run([foreign, counting([2, 2])]),
    TypeError,
    "float32[2, 2] on webgpu in a Program compiled for reference",
  );
});

Deno.test("a disposed executable refuses to run, and options must fit the Program", async () => {
  const executable = await reference.compile(sumAndNegative(), HOST_ONLY);
  executable[Symbol.dispose]();
  await assertRejects(() => executable.run([counting([1, 2]), counting([1, 2])]), Error, "disposed");
  await assertRejects(
    () => reference.compile(sumAndNegative(), { donate: [], keep: [true, true] }),
    RangeError,
    "donate has 0 entries",
  );
});
