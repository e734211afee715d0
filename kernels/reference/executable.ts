/**
 * A compiled Program on the reference backend: memory and kernels are prepared once per set of symbolic sizes
 * and reused by later calls with those sizes. It also decides which memory a kept output gets.
 */
import { printShape } from "../../src/tensor/dims.ts";
import {
  type DeviceTensor,
  type HostTensor,
  hostTensor,
  printSpec,
  type Values,
} from "../../src/tensor/tensor.ts";
import type { Program } from "../../src/program/types.ts";
import type { BackendCompileOptions, Executable, Input } from "../backend.ts";
import { DEVICE, ReferenceTensor } from "./device_tensor.ts";
import { CompiledSizes } from "../sizes.ts";
import { prepare } from "./execute.ts";
import type { Prepared } from "./kernel.ts";

/** A compiled Program; see the contract in `kernels/backend.ts`. */
export class ReferenceExecutable implements Executable {
  readonly #program: Program;
  readonly #options: BackendCompileOptions;
  readonly #sizes: CompiledSizes<Prepared>;

  constructor(program: Program, options: BackendCompileOptions) {
    checkCount("donate", options.donate.length, program.inputs.length, "inputs");
    checkCount("keep", options.keep.length, program.outputs.length, "outputs");
    this.#program = program;
    this.#options = options;
    this.#sizes = new CompiledSizes(program);
  }

  // async, so that every error is a rejection
  // deno-lint-ignore require-await
  async run(inputs: readonly Input[]): Promise<(HostTensor | DeviceTensor)[]> {
    return this.runSync(inputs);
  }

  runSync(inputs: readonly Input[]): (HostTensor | DeviceTensor)[] {
    const prepared = this.#sizes.getOr(inputs, (bindings) => prepare(this.#program, bindings));
    const results = prepared.run(inputs.map(valuesOf));

    const donated = inputs.filter((input, index): input is ReferenceTensor =>
      this.#options.donate[index] && input instanceof ReferenceTensor
    );
    const memory = new DonatedMemory(donated.map(({ values }) => values), results);
    const outputs = prepared.outputs.map(({ shape, dtype }, output) =>
      this.#options.keep[output]
        ? new ReferenceTensor(memory.hold(results[output]), shape, dtype)
        : hostTensor(results[output].slice(), shape)
    );
    for (const tensor of donated) tensor.donate();
    return outputs;
  }

  describe(): string {
    const { inputs, equations, outputs } = this.#program;
    const lines = [
      `${DEVICE}: ${equations.length} equations, (${inputs.map(printSpec).join(", ")}) -> ` +
      `(${outputs.map(printSpec).join(", ")})`,
    ];
    for (const [sizes, prepared] of this.#sizes.entries) {
      lines.push(
        `  prepared for {${sizes}}: ${prepared.elements} elements of memory, outputs ` +
          prepared.outputs.map(({ shape }) => printShape(shape)).join(", "),
      );
    }
    return lines.join("\n");
  }

  [Symbol.dispose](): void {
    this.#sizes[Symbol.dispose]();
  }
}

function checkCount(option: string, given: number, expected: number, what: string): void {
  if (given !== expected) {
    throw new RangeError(
      `Cannot compile a Program with ${expected} ${what}: ${option} has ${given} entries`,
    );
  }
}

function valuesOf(input: Input): Values {
  if (input.kind === "host") return input.data;
  if (input instanceof ReferenceTensor) return input.values;
  throw new TypeError(
    `Cannot use a ${printSpec(input)} on ${input.device} in a Program compiled for ${DEVICE}: ` +
      `bring it to the host first with await toHost(tensor)`,
  );
}

/** The memory of donated inputs, reused for kept outputs. */
class DonatedMemory {
  /** Donated arrays that are themselves a result: handed over unchanged, never written. */
  readonly #results: Set<Values>;
  /** The others: free for any result of their dtype and size. */
  readonly #free: Set<Values>;

  constructor(donated: readonly Values[], results: readonly Values[]) {
    this.#results = new Set(donated.filter((values) => results.includes(values)));
    this.#free = new Set(donated.filter((values) => !results.includes(values)));
  }

  /** Memory that holds `result` and belongs to the caller alone. */
  hold(result: Values): Values {
    if (this.#results.delete(result)) return result;
    for (const values of this.#free) {
      if (values.length === result.length && values.constructor === result.constructor) {
        this.#free.delete(values);
        values.set(result);
        return values;
      }
    }
    return result.slice();
  }
}
