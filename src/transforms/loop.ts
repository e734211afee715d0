/** A pure step with a state, compiled to be called repeatedly: the state stays where it is computed. */
import { type Device, devicesFor } from "../../kernels/mod.ts";
import type { Executable } from "../../kernels/backend.ts";
import { type HostTensor, isLeaf, printSpec, type Tensor } from "../tensor/tensor.ts";
import { sameShape } from "../tensor/dims.ts";
import { flattenTree, printStructure, type Structure, unflattenTree } from "../tree/tree.ts";
import { toHost } from "../tree/to_host.ts";
import { trace } from "../program/functions.ts";
import { runPasses } from "../passes/mod.ts";

/** A step that is called repeatedly. */
export interface StepLoop<State, Input, Output> extends Disposable {
  /** Whether the input has the structure and specs that this loop was compiled for. */
  accepts(input: Input): boolean;
  /** Runs one step; returns its output directly if the device can block, else a promise of it. */
  run(input: Input): Output | Promise<Output>;
  /** The state after the last step. */
  readState(): State;
  /** Sets the state. */
  writeState(state: State): void;
}

/**
 * Compiles `(fixed, state, input) => [output, state]` for repeated calls.
 *
 * @param fixed Values that are the same in every call, such as parameters; copied to the device once.
 * @param state The initial state, on the host.
 * @param input An input like all later ones, on the host.
 */
export async function compileLoop<Fixed, State, Input, Output>(
  fn: (fixed: Fixed, state: State, input: Input) => readonly [Output, State],
  fixed: Fixed,
  state: State,
  input: Input,
  options: { readonly device?: Device } = {},
): Promise<StepLoop<State, Input, Output>> {
  const { program, structure } = trace(fn as (...args: never[]) => unknown, fixed, state, input);
  if (structure.kind !== "array" || structure.items.length !== 2) {
    throw new TypeError("Cannot compile a loop: the step must return [output, state]");
  }
  const [outputStructure] = structure.items;
  const optimized = runPasses(program);
  const devices = await devicesFor(options.device);
  const constant = flattenTree<HostTensor>(await toHost(fixed)).leaves;
  const states = flattenTree<HostTensor>(state);
  const inputs = flattenTree<HostTensor>(input);
  const firstState = constant.length, firstInput = firstState + states.leaves.length;
  const outputs = program.outputs.length - states.leaves.length;
  const executable = await devices.choose(
    optimized,
    [...constant, ...states.leaves, ...inputs.leaves],
    ({ backend }) =>
      backend.compile(optimized, {
        donate: program.inputs.map(() => false),
        keep: program.outputs.map(() => false),
      }),
  );
  const key = printStructure(inputs.structure);
  const accepts = (other: Input): boolean => {
    if (isLeaf(input)) {
      return isLeaf(other) && other.dtype === input.dtype && sameShape(other.shape, input.shape);
    }
    const given = flattenTree<Tensor>(other);
    return printStructure(given.structure) === key &&
      given.leaves.every((leaf, index) => printSpec(leaf) === printSpec(inputs.leaves[index]));
  };
  const leavesOf = (other: Input): HostTensor[] =>
    isLeaf(other) ? [other as unknown as HostTensor] : flattenTree<HostTensor>(other).leaves; // as accepted
  const build = (leaves: readonly HostTensor[]): Output =>
    outputStructure.kind === "leaf" ? leaves[0] as Output : unflattenTree<Output>(outputStructure, leaves); // one leaf: the output itself

  if (!executable.loop) {
    return callByCall(executable, constant, states, outputs, { accepts, leavesOf, build });
  }
  const loop = await executable.loop([...constant, ...states.leaves, ...inputs.leaves], {
    carried: states.leaves.map((_, index) => ({ input: firstState + index, output: outputs + index })),
    fresh: inputs.leaves.map((_, index) => firstInput + index),
  });
  return {
    accepts,
    run: (other) => build(loop.run(leavesOf(other))),
    readState: () => unflattenTree<State>(states.structure, loop.read()),
    writeState: (next) => loop.write(flattenTree<HostTensor>(next).leaves),
    [Symbol.dispose]: () => {
      loop[Symbol.dispose]();
      executable[Symbol.dispose]();
    },
  };
}

/** The same with ordinary calls, for a backend without loops. */
function callByCall<State, Input, Output>(
  executable: Executable,
  constant: readonly HostTensor[],
  states: { readonly leaves: HostTensor[]; readonly structure: Structure },
  outputs: number,
  { accepts, leavesOf, build }: {
    readonly accepts: (input: Input) => boolean;
    readonly leavesOf: (input: Input) => HostTensor[];
    readonly build: (leaves: readonly HostTensor[]) => Output;
  },
): StepLoop<State, Input, Output> {
  let current: readonly HostTensor[] = states.leaves;
  const finish = (results: readonly unknown[]): Output => {
    const onHost = results as readonly HostTensor[]; // nothing is kept on the device
    current = onHost.slice(outputs);
    return build(onHost.slice(0, outputs));
  };
  return {
    accepts,
    run: (input) => {
      const all = [...constant, ...current, ...leavesOf(input)];
      return executable.runSync ? finish(executable.runSync(all)) : executable.run(all).then(finish);
    },
    readState: () => unflattenTree<State>(states.structure, current),
    writeState: (next) => {
      current = flattenTree<HostTensor>(next).leaves;
    },
    [Symbol.dispose]: () => executable[Symbol.dispose](),
  };
}
