/** The memory of a native device: addresses beyond 32 bits, what is freed, and what is too much. */
import {
  add,
  host,
  init,
  key,
  lstm,
  mul,
  ones,
  spec,
  streaming,
  type Tensor,
  tensor,
  trace,
} from "../../../mod.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DeviceOutOfMemory } from "../../../kernels/backend.ts";
import { CpuExecutable } from "../../../kernels/cpu/executable.ts";
import { NativeDevice } from "../../../kernels/native/device.ts";
import { NativeMemory } from "../../../kernels/native/memory.ts";
import { missing } from "./backends.ts";

// Threads outlive a test.
const options = { ignore: missing !== undefined, sanitizeResources: false, sanitizeOps: false };

Deno.test("native: calls and loops beyond 4 GiB run, and give their memory back", options, async () => {
  const device = await NativeDevice.open("high", { threads: 2, shareFrom: 0 });
  const below = Math.min(5 * 2 ** 30, 0.7 * device.memory.machineBytes);
  device.memory.allocate(below, () => "what lies below, which is never touched");
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

Deno.test("native: large memory that is freed goes back to the system", options, async () => {
  const device = await NativeDevice.open("large", { threads: 1 });
  const rss = () => Deno.memoryUsage().rss;
  const size = 2 ** 26, before = rss();
  const stored = device.upload(host(ones([size])));
  const held = rss();
  stored[Symbol.dispose]();
  assert(held - before > 3.5 * size, "it is there while it is used");
  assert(held - rss() > 3.5 * size, "and gone afterwards");
});

Deno.test("native: what a step frees waits for the next one, and goes back once it is too much", () => {
  const mebibyte = 1 << 20, given: [number, number][] = [];
  const memory = new NativeMemory({
    bufferOf: (bytes) => new ArrayBuffer(Math.min(bytes, 64)),
    giveBack: (address, bytes) => given.push([address, bytes]),
    bytes: 2 ** 32,
    machineBytes: 2 ** 32,
  });
  const take = (mebibytes: number) => memory.allocate(mebibytes * mebibyte, () => "");
  for (let step = 0; step < 100; step++) {
    const weights = take(12), moments = take(12);
    memory.free(weights);
    memory.free(moments);
  }
  assertEquals(given, [], "24 MiB wait");
  const first = take(8), large = take(40); // both begin in what waits
  memory.free(large);
  const back = given.reduce((sum, [, bytes]) => sum + bytes, 0);
  assertEquals(back, 40 * mebibyte, "all that waits, and nothing that is in use");
  assert(given.every(([address, bytes]) => address >= first + 8 * mebibyte || address + bytes <= first));
});

Deno.test("native: a step may free as much as is in use; many small pieces go back too", () => {
  const mebibyte = 1 << 20, piece = mebibyte / 4;
  /** Pages, each as large as a small piece, that the system has provided. */
  const provided = new Set<number>();
  let given = 0;
  const memory = new NativeMemory({
    bufferOf: (bytes) => new ArrayBuffer(Math.min(bytes, 64)),
    giveBack: (address, bytes) => {
      given++;
      for (let page = Math.ceil(address / piece); (page + 1) * piece <= address + bytes; page++) {
        provided.delete(page);
      }
    },
    bytes: 2 ** 32,
    machineBytes: 2 ** 32,
  });
  const take = (bytes: number) => {
    const address = memory.allocate(bytes, () => "");
    for (let page = Math.floor(address / piece); page * piece < address + bytes; page++) provided.add(page);
    return address;
  };
  let weights = take(100 * mebibyte);
  for (let step = 0; step < 100; step++) {
    const next = take(100 * mebibyte);
    memory.free(weights);
    weights = next;
  }
  assertEquals(given, 0, "half of what there is waits");
  const small = Array.from({ length: 1000 }, () => take(piece));
  memory.free(weights);
  for (const remainder of [0, 1]) {
    for (const address of small.filter((_, index) => index % 2 === remainder)) memory.free(address);
  }
  assertEquals(memory.used, 0);
  const bytes = provided.size * piece;
  assert(bytes <= 33 * mebibyte, `${bytes} bytes are still provided`);
});

Deno.test("native: more memory than there is is refused, and what is there stays", options, async () => {
  const device = await NativeDevice.open("small", { threads: 1 });
  const stored = device.upload(host(tensor([1, 2, 3])));
  assertThrows(
    () => device.tensor([2 ** 40], "float32"),
    DeviceOutOfMemory,
    "it was for float32[1099511627776]",
  );
  assertEquals([...(await stored.read()).data], [1, 2, 3]);
});

Deno.test("native: the steps of a stream are those of wasm", options, async () => {
  const layer = lstm({ units: 24, returnSequences: true });
  const input = spec([1, null, 7]), variables = init(layer, key(1), input);
  const [a, b] = await Promise.all(["native", "wasm"].map(async (device) => {
    const stream = streaming(layer, variables, { input, device: device as "native" | "wasm" });
    const outputs: number[] = [];
    for (let step = 0; step < 5; step++) {
      const x = tensor(Float32Array.from({ length: 7 }, (_, i) => Math.sin(step * 7 + i)), {
        shape: [1, 7],
      });
      outputs.push(...host(await stream.step(x) as Tensor).data);
    }
    return outputs;
  }));
  assertEquals(a.length, 5 * 24);
  a.forEach((value, at) => assert(Math.abs(value - b[at]) < 1e-6, `${at}: ${value} and ${b[at]}`));
});
