/**
 * A stream whose memory lies beyond 2 GiB gives it back: its addresses are not taken to be negative. The memory below is
 * claimed and never touched, so that it takes none of the machine's.
 */
import { add, host, mul, ones, type Tensor, tensor, trace } from "@cellfold/cellfold";
import { assertEquals } from "@std/assert";
import { WasmDevice } from "../../kernels/wasm/device.ts";
import { CpuExecutable } from "../../kernels/cpu/executable.ts";

Deno.test("wasm: loops beyond 2 GiB run, and give their memory back", async () => {
  const device = new WasmDevice("high", { threads: 1 });
  device.memory.allocate(2 ** 31, () => "what lies below");
  const step = (state: Tensor, x: Tensor) => [add(state, x), mul(x, state)];
  const inputs = [host(ones([5])), host(ones([5]))];
  const { program } = trace(step, ...inputs);
  using executable = new CpuExecutable(device, program, { donate: [false, false], keep: [false, false] });
  const roles = { carried: [{ input: 0, output: 0 }], fresh: [1] };
  const used: number[] = [];
  for (let round = 0; round < 3; round++) {
    const loop = await executable.loop(inputs, roles);
    assertEquals([...loop.run([host(tensor([1, 2, 3, 4, 5]))])[0].data], [1, 2, 3, 4, 5]);
    assertEquals([...loop.read()[0].data], [2, 3, 4, 5, 6]);
    loop[Symbol.dispose]();
    used.push(device.memory.used);
  }
  assertEquals(used, used.map(() => used[0]));
});
