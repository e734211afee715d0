/**
 * A Program as a WebAssembly module of its own: with its memory, its weights and all of its code, for any host.
 * The kernels are those of the backend on one thread with plain SIMD, so results are the same to the bit.
 *
 * The module exports `memory`; `input(i)` and `output(i)`, the addresses of what is given and of the results, in
 * order, row-major, 4 bytes per element. One for whole calls exports `prepare(sizes…)` (`prepare.ts`) and `run()`.
 * A step of a stream is for fixed sizes and prepared when it is instantiated: `step()` runs it and keeps the next
 * states, and `reset()` goes back to the first ones.
 */
import type { HostTensor } from "../../../src/tensor/tensor.ts";
import type { Buffer } from "../../lowering/views.ts";
import { sizeOf } from "../../shapes.ts";
import { scratchLifetimes, staysPacked } from "../../cpu/device.ts";
import { cpuFunctions, type CpuKernel } from "../../cpu/kernels.ts";
import { lowerForCpu } from "../../cpu/lower.ts";
import { packedInput, packedOnHost, type StayingPack } from "../../cpu/packed.ts";
import { WORTH_SHARING } from "../../cpu/partition.ts";
import { Slots, TableFull } from "../../cpu/slots.ts";
import { checkFloat32, checkSizes } from "../../standalone/checks.ts";
import { openInputs } from "../../standalone/open_values.ts";
import { givenInputs, type InputRole, resultsOf, type StandaloneProgram } from "../../standalone/roles.ts";
import { type FunctionBuilder, i32, ModuleBuilder } from "../assembler.ts";
import { addKernels } from "../emit/module.ts";
import { MAXIMUM_PAGES } from "../memory.ts";
import { wasmTarget } from "../target.ts";
import { FixedAddresses, type Piece, regionsOf } from "./layout.ts";
import { addPrepare, type Filling, type Place, type WordAt } from "./prepare.ts";

const PAGE = 65536;
const FEW_WORDS = 256;

/** What has no fixed address: an intermediate result, or an input or output by its name in the table. */
type Key = Buffer | string;

/** What a module is written from. */
interface Source {
  readonly standalone: StandaloneProgram;
  /** The kernels of a call. */
  readonly kernels: readonly CpuKernel[];
  /** The kernels that pack weights, which lie packed in the file. */
  readonly packs: readonly StayingPack[];
}

/**
 * Writes the module.
 *
 * @param signature What the custom section `cellfold` says, for loaders.
 * @throws TypeError if the Program computes in float64; RangeError if it has no result for sizes of 1.
 */
export function standaloneModule(given: StandaloneProgram, signature: string): Uint8Array<ArrayBuffer> {
  checkFloat32(given.program);
  const { program, values } = openInputs(given.program);
  const roles: readonly InputRole[] = [
    ...given.roles,
    ...values.map((value): InputRole => ({ kind: "open", value })),
  ];
  const { kernels, checks } = lowerForCpu(program, {
    target: wasmTarget,
    threads: 1,
    shareFrom: WORTH_SHARING,
    stays: (input) => roles[input].kind === "weight",
  });
  checkSizes(given.sizes, checks);
  const packs = kernels.filter(staysPacked);
  const source: Source = {
    standalone: { ...given, program, roles },
    kernels: kernels.filter((kernel) => !staysPacked(kernel)),
    packs,
  };
  const write = (words: number): Uint8Array<ArrayBuffer> => {
    try {
      return writeModule(source, signature, words);
    } catch (error) {
      if (error instanceof TableFull) return write(words * 2);
      throw error;
    }
  };
  return write(FEW_WORDS);
}

function writeModule(source: Source, signature: string, capacity: number): Uint8Array<ArrayBuffer> {
  const { standalone, kernels } = source;
  const { sizes } = standalone;
  const module = new ModuleBuilder({ minimum: 0, maximum: MAXIMUM_PAGES, shared: false, own: true });
  const fixed = new FixedAddresses();
  const slots = new Slots(fixed.place(capacity * 4), capacity);
  const { functions: { alone } } = addKernels(module, kernels, {
    features: { relaxed: false, wide: false },
    slots,
    threads: 1,
  });
  const places = placesOf(source, slots, fixed, module);
  const directory = directoryOf(standalone, fixed);
  const words = [
    ...slots.words.map((word, index): WordAt<Key> => {
      const address = slots.address + 4 * index;
      if (word.kind === "computed") throw new Error("A module of its own reads a word that nothing computes");
      return { address, value: word.kind === "size" ? { size: word.size } : places.of(word.buffer) };
    }),
    ...directory.words.map(({ address, key }) => ({ address, value: places.named(key) })),
  ];
  const prepare = addPrepare(module, {
    sizes,
    begin: fixed.end,
    regions: regionsOf(piecesOf(source), sizes),
    words,
    fillings: fillingsOf(standalone, places),
  });
  for (const { name, address } of directory.lists) addAddressOf(module, name, address);
  if (places.states) addSteps(module, alone, prepare, places.states);
  else {
    module.export(prepare);
    module.export(alone, "run");
  }
  module.begin(Math.ceil(fixed.end / PAGE));
  module.custom("cellfold", new TextEncoder().encode(signature));
  return module.encode().slice();
}

/** The states of all carried values: now, after the next step, and at first. */
interface States {
  readonly current: number;
  readonly next: number;
  readonly first: number;
  readonly bytes: number;
}

/** Where everything is. */
interface Places {
  readonly of: (buffer: Buffer) => Place<Key>;
  /** Where an input or output is, by its name in the table. */
  readonly named: (name: string) => Place<Key>;
  readonly states: States | undefined;
}

/** Gives what the kernels read and write a place; weights and constants are put there. */
function placesOf(
  { standalone: { program, roles, isStep }, kernels, packs }: Source,
  slots: Slots,
  fixed: FixedAddresses,
  module: ModuleBuilder,
): Places {
  const addresses = new Map<Key, number>();
  const put = (key: Key, bytes: Uint8Array) => {
    const address = fixed.place(bytes.length);
    addresses.set(key, address);
    putData(module, address, bytes);
  };
  const states = roles.flatMap((role, input) => role.kind === "state" ? [{ ...role, input }] : []);
  let carried: States | undefined;
  if (isStep) {
    const parts = states.map(({ first }) => bytesOf(first));
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    const [current, next, first] = [0, 0, 0].map(() => fixed.place(bytes));
    carried = { current, next, first, bytes };
    let at = 0;
    states.forEach(({ input, output }, index) => {
      addresses.set(`input ${input}`, current + at);
      addresses.set(`output ${output}`, next + at);
      putData(module, first + at, parts[index]);
      at += parts[index].length;
    });
  }
  roles.forEach((role, input) => {
    const key = `input ${input}`;
    if (role.kind === "weight" && slots.indexOf(key) !== undefined) put(key, bytesOf(role.value));
    if (role.kind === "open" && typeof sizeOf(program.inputs[input].shape) === "number") {
      put(key, new Uint8Array(4));
    }
  });
  for (const kernel of packs) {
    const role = roles[packedInput(kernel)];
    if (role.kind !== "weight") throw new Error("Only weights stay packed");
    put(kernel.packed, new Uint8Array(packedOnHost(kernel, role.value, wasmTarget.panelColumns).buffer));
  }
  for (const buffer of new Set(kernels.flatMap(cpuFunctions.buffersOf))) {
    const { storage } = buffer;
    if (storage.kind !== "constant") continue;
    if (typeof storage.value === "function") throw new Error("A constant of open size is left in a Program");
    put(buffer, bytesOf(storage.value));
  }
  const at = (key: Key): Place<Key> => {
    const address = addresses.get(key);
    return address === undefined ? { key } : { address };
  };
  return {
    of: (buffer) => {
      const { storage } = buffer;
      const isOutside = storage.kind === "input" || storage.kind === "output";
      return at(isOutside ? `${storage.kind} ${storage.index}` : buffer);
    },
    named: at,
    states: carried,
  };
}

/** The pieces that have no fixed address. */
function piecesOf({ standalone, kernels, packs }: Source): Piece<Key>[] {
  const { program, roles } = standalone;
  const lifetimes = scratchLifetimes(kernels, packs);
  const forever = { first: 0, last: kernels.length };
  const inputs = roles.flatMap((role, index) => {
    const size = sizeOf(program.inputs[index].shape);
    const isOpen = role.kind === "open" && typeof size !== "number";
    return role.kind === "given" || isOpen ? [{ key: `input ${index}`, size, ...forever }] : [];
  });
  const outputs = resultsOf(standalone).map((index) => ({
    key: `output ${index}`,
    size: sizeOf(program.outputs[index].shape),
    ...forever,
  }));
  const between = [...lifetimes].map(([buffer, life]) => ({ key: buffer, size: buffer.size, ...life }));
  return [...inputs, ...outputs, ...between];
}

function fillingsOf({ program, roles }: StandaloneProgram, places: Places): Filling<Key>[] {
  return roles.flatMap((role, index) => {
    if (role.kind !== "open") return [];
    const { shape, dtype } = program.inputs[index];
    return [{ value: role.value, shape, dtype, place: places.named(`input ${index}`) }];
  });
}

/** The words that hold the addresses of what is given, and of the results. */
function directoryOf(standalone: StandaloneProgram, fixed: FixedAddresses) {
  const lists = [
    { name: "input", indices: givenInputs(standalone) },
    { name: "output", indices: resultsOf(standalone) },
  ].map((list) => ({ ...list, address: fixed.place(4 * list.indices.length) }));
  const words = lists.flatMap(({ name, indices, address }) =>
    indices.map((index, at) => ({ address: address + 4 * at, key: `${name} ${index}` }))
  );
  return { lists, words };
}

/** Adds a function that returns the word of this number in a list. */
function addAddressOf(module: ModuleBuilder, name: string, list: number): void {
  const f = module.addFunction(name, [i32], [i32]);
  f.get(0).i32(2).op("i32.shl").memory("i32.load", list);
  module.export(f);
}

/** Adds `step` and `reset`, and prepares the instance when it is made. */
function addSteps(
  module: ModuleBuilder,
  alone: FunctionBuilder,
  prepare: FunctionBuilder,
  { current, next, first, bytes }: States,
): void {
  const step = module.addFunction("step", []);
  step.call(alone).i32(current).i32(next).i32(bytes).copy();
  module.export(step);
  const reset = module.addFunction("reset", []);
  reset.i32(current).i32(first).i32(bytes).copy();
  module.export(reset);
  const begin = module.addFunction("begin", []);
  begin.call(prepare).op("i32.eqz").if(() => begin.op("unreachable")).call(reset);
  module.start(begin);
}

/** Puts bytes into a module; zeros are there already. */
function putData(module: ModuleBuilder, address: number, bytes: Uint8Array): void {
  if (bytes.some((byte) => byte !== 0)) module.data(address, bytes);
}

/** A tensor as it lies in memory. */
function bytesOf({ data, dtype }: HostTensor): Uint8Array<ArrayBuffer> {
  const words = dtype === "float32" ? Float32Array.from(data) : Int32Array.from(data);
  return new Uint8Array(words.buffer);
}
