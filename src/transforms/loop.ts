/**
 * Pure steps with a state, compiled to be called repeatedly: the state stays where it is computed. A step is
 * compiled once for all sizes that are open in its input; loops over it share the code and the weights.
 */
import { DeviceLost, type Executable, type Input } from "../../kernels/backend.ts";
import { type Device, devicesFor } from "../../kernels/mod.ts";
import type { Backend } from "../../kernels/backend.ts";
import { runPasses } from "../passes/mod.ts";
import { bindShapes } from "../program/bindings.ts";
import { trace } from "../program/functions.ts";
import { type Bindings, evaluateShape, sameShape, type Shape } from "../tensor/dims.ts";
import {
  type DeviceTensor,
  type DType,
  type HostTensor,
  isLeaf,
  printSpec,
  type Spec,
  type Tensor,
  type Values,
} from "../tensor/tensor.ts";
import { flattenTree, type Path, printStructure, type Structure, unflattenTree } from "../tree/tree.ts";
import { type Held, hold } from "./uploads.ts";

type RunInto = (inputs: readonly Values[], outputs: readonly Values[]) => void;

/** Where a tensor is in a tree, and what it is. */
export interface Place {
  readonly path: Path;
  readonly spec: { readonly shape: readonly number[]; readonly dtype: DType };
}

/** A step that is called repeatedly. */
export interface StepLoop<State, Input, Output> extends Disposable {
  /** Whether the input has the structure and specs that this loop was begun for. */
  accepts(input: Input): boolean;
  /** Runs one step; returns its output directly if the device can block, else a promise of it. */
  run(input: Input): Output | Promise<Output>;
  /**
   * The same step from and into arrays of the sizes and dtypes of `inputs` and `outputs`, which are not
   * checked; absent if the device cannot block.
   */
  readonly runInto?: RunInto;
  /** The tensors of an input, by their places in the tree, in order. */
  readonly inputs: readonly Place[];
  /** Those of an output. */
  readonly outputs: readonly Place[];
  /** The state after the last step. */
  readState(): State;
  /** Sets the state. */
  writeState(state: State): void;
}

/** A step compiled for an input of certain specs. */
export interface CompiledStep<Fixed, State, Input, Output> extends Disposable {
  /** Whether a loop can begin with an input of these specs. */
  accepts(input: unknown): boolean;
  /**
   * A loop of calls.
   *
   * @param fixed Values that are the same in every call, such as parameters; those on the host are copied to
   *   the device once for all loops that are given them.
   * @param state The initial state, on the host.
   * @param input An input like all later ones, on the host.
   */
  begin(fixed: Fixed, state: State, input: Input): Promise<StepLoop<State, Input, Output>>;
}

/**
 * Compiles `(fixed, state, input) => [output, state]` for repeated calls.
 *
 * @param specs The specs of an input; sizes may be open.
 * @param input An input of these specs, by which `auto` chooses a device.
 */
export async function compileStep<Fixed, State, Input, Output>(
  fn: (fixed: Fixed, state: State, input: Input) => readonly [Output, State],
  fixed: Fixed,
  state: State,
  specs: unknown,
  input: Input,
  options: { readonly device?: Device } = {},
): Promise<CompiledStep<Fixed, State, Input, Output>> {
  const { program, structure } = trace(fn as (...args: never[]) => unknown, fixed, state, specs as Input);
  if (structure.kind !== "array" || structure.items.length !== 2) {
    throw new TypeError("Cannot compile a loop: the step must return [output, state]");
  }
  const [outputStructure] = structure.items;
  const optimized = runPasses(program);
  const devices = await devicesFor(options.device);
  const constants = flattenTree<Tensor>(fixed).leaves;
  const states = flattenTree<HostTensor>(state);
  const expected = flattenTree<Spec>(specs);
  const key = printStructure(expected.structure);
  const firstState = constants.length, firstInput = firstState + states.leaves.length;
  const outputs = program.outputs.length - states.leaves.length;
  let on: Backend | undefined;
  const executable = await devices.choose(
    optimized,
    [...constants, ...states.leaves, ...flattenTree<Tensor>(input).leaves],
    ({ backend }) => {
      on = backend;
      return backend.compile(optimized, {
        donate: program.inputs.map(() => false),
        keep: program.outputs.map(() => false),
      });
    },
  );
  const backend = on as Backend; // the one that it was compiled for
  const build = (leaves: readonly HostTensor[]): Output =>
    outputStructure.kind === "leaf" ? leaves[0] as Output : unflattenTree<Output>(outputStructure, leaves); // one leaf: the output itself
  return {
    accepts: (input) => hasSpecs(input, key, expected.leaves),
    async begin(fixed, state, input) {
      const first = flattenTree<HostTensor>(input);
      const held = await holdAll(flattenTree<HostTensor | DeviceTensor>(fixed).leaves, backend);
      const release = (isLost?: boolean) => held.forEach((each) => each.release(isLost));
      try {
        const calls: Calls = {
          executable,
          constants: held.map(({ tensor }) => tensor),
          states: flattenTree<HostTensor>(state).leaves,
          outputs,
          build: build as (leaves: readonly HostTensor[]) => unknown,
        };
        const loop = executable.loop
          ? await loopOf(calls, executable, first.leaves, { firstState, firstInput })
          : callByCall(calls, first.leaves);
        const accepts = acceptsLike(input, first);
        const { runInto } = loop;
        const bindings = bindShapes(
          expected.leaves.map(({ shape }) => shape),
          first.leaves.map(({ shape }) => shape),
        );
        const made = unflattenTree(outputStructure, program.outputs.slice(0, outputs));
        const failed = (error: unknown): unknown => {
          if (error instanceof DeviceLost) release(true);
          return error;
        };
        return {
          accepts,
          inputs: placesOf(input, {}),
          outputs: placesOf(made, bindings),
          run: (other) => {
            try {
              const result = loop.run(leavesOf(other)) as Output | Promise<Output>;
              if (result instanceof Promise) result.catch(failed);
              return result;
            } catch (error) {
              throw failed(error);
            }
          },
          runInto: runInto && ((inputs, outputs) => {
            try {
              runInto(inputs, outputs);
            } catch (error) {
              throw failed(error);
            }
          }),
          readState: () => unflattenTree<State>(states.structure, loop.readState()),
          writeState: (next) => loop.writeState(flattenTree<HostTensor>(next).leaves),
          [Symbol.dispose]: () => {
            loop[Symbol.dispose]();
            release();
          },
        };
      } catch (error) {
        release(error instanceof DeviceLost);
        throw error;
      }
    },
    [Symbol.dispose]: () => executable[Symbol.dispose](),
  };
}

function placesOf(tree: unknown, bindings: Bindings): Place[] {
  const { leaves, paths } = flattenTree<Spec>(tree);
  return leaves.map(({ shape, dtype }, index) => ({
    path: paths[index],
    spec: { shape: evaluateShape(shape, bindings), dtype },
  }));
}

/** All tensors on a backend's device; if one cannot be copied, none is held. */
async function holdAll(tensors: readonly (HostTensor | DeviceTensor)[], backend: Backend): Promise<Held[]> {
  const all = await Promise.allSettled(tensors.map((tensor) => hold(tensor, backend)));
  const held = all.flatMap((each) => each.status === "fulfilled" ? [each.value] : []);
  for (const each of all) {
    if (each.status === "fulfilled") continue;
    for (const other of held) other.release();
    throw each.reason;
  }
  return held;
}

/** What the calls of a loop have in common. */
interface Calls {
  readonly executable: Executable;
  readonly constants: readonly Input[];
  readonly states: readonly HostTensor[];
  /** How many outputs come before the state. */
  readonly outputs: number;
  readonly build: (leaves: readonly HostTensor[]) => unknown;
}

/** A loop over leaves. */
interface LeafLoop extends Disposable {
  run(input: readonly HostTensor[]): unknown;
  readonly runInto?: RunInto;
  readState(): readonly HostTensor[];
  writeState(state: readonly HostTensor[]): void;
}

/** A loop in which a device carries the state. */
async function loopOf(
  { constants, states, outputs, build }: Calls,
  executable: Executable,
  input: readonly HostTensor[],
  { firstState, firstInput }: { readonly firstState: number; readonly firstInput: number },
): Promise<LeafLoop> {
  const loop = await executable.loop?.([...constants, ...states, ...input], {
    carried: states.map((_, index) => ({ input: firstState + index, output: outputs + index })),
    fresh: input.map((_, index) => firstInput + index),
  });
  if (!loop) throw new Error("Only an executable that has loops begins one");
  return {
    run: (leaves) => build(loop.run(leaves)),
    runInto: (inputs, outputs) => loop.runInto(inputs, outputs),
    readState: () => loop.read(),
    writeState: (next) => loop.write(next),
    [Symbol.dispose]: () => loop[Symbol.dispose](),
  };
}

/** The same with ordinary calls, for a backend without loops. */
function callByCall(
  { executable, constants, states, outputs, build }: Calls,
  first: readonly HostTensor[],
): LeafLoop {
  let current = states;
  const finish = (results: readonly unknown[]): readonly HostTensor[] => {
    const onHost = results as readonly HostTensor[]; // nothing is kept on the device
    current = onHost.slice(outputs);
    return onHost.slice(0, outputs);
  };
  const { runSync } = executable;
  const runNow = runSync &&
    ((leaves: readonly HostTensor[]) =>
      finish(runSync.call(executable, [...constants, ...current, ...leaves])));
  return {
    run: (leaves) =>
      runNow
        ? build(runNow(leaves))
        : executable.run([...constants, ...current, ...leaves]).then((results) => build(finish(results))),
    runInto: runNow && ((inputs, outputs) => {
      const results = runNow(first.map((leaf, index) => ({ ...leaf, data: inputs[index] })));
      results.forEach(({ data }, index) => outputs[index].set(data));
    }),
    readState: () => current,
    writeState: (next) => {
      current = next;
    },
    [Symbol.dispose]: () => {},
  };
}

function leavesOf(input: unknown): HostTensor[] {
  return isLeaf(input) ? [input as HostTensor] : flattenTree<HostTensor>(input).leaves; // as accepted
}

/** Whether inputs are like the first one. */
function acceptsLike(
  first: unknown,
  { leaves, structure }: { readonly leaves: readonly HostTensor[]; readonly structure: Structure },
): (input: unknown) => boolean {
  const key = printStructure(structure);
  return (input) => {
    if (isLeaf(first)) {
      const [{ dtype, shape }] = leaves;
      return isLeaf(input) && input.dtype === dtype && sameShape(input.shape, shape);
    }
    const given = flattenTree<Tensor>(input);
    return printStructure(given.structure) === key &&
      given.leaves.every((leaf, index) => printSpec(leaf) === printSpec(leaves[index]));
  };
}

/** Whether an input has these specs, for some values of their open sizes. */
function hasSpecs(input: unknown, key: string, specs: readonly Spec[]): boolean {
  const { leaves, structure } = flattenTree<Spec>(input);
  if (printStructure(structure) !== key) return false;
  if (leaves.some(({ dtype }, index) => dtype !== specs[index].dtype)) return false;
  try {
    bindShapes(
      specs.map(({ shape }) => shape),
      leaves.map(({ shape }: { readonly shape: Shape }) => shape.map(Number)),
    );
    return true;
  } catch {
    return false;
  }
}
