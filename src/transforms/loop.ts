/**
 * Pure steps with a state, compiled to be called repeatedly: the state stays where it is computed. A step is
 * compiled once for all sizes that are open in its input; loops over it share the code and the weights.
 */
import { type Backend, DeviceLost, type Executable, type Input, type Loop } from "../../kernels/backend.ts";
import { type Device, devicesFor } from "../../kernels/mod.ts";
import { bindShapes } from "../program/bindings.ts";
import { trace } from "../program/functions.ts";
import { type Bindings, evaluateShape, sameShape, type Shape } from "../tensor/dims.ts";
import { isFilled } from "../tensor/filled.ts";
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
import { layOut, takeFixedLayouts } from "./fixed_layouts.ts";
import { optimize } from "./optimize.ts";
import { type HeldTensors, holdAll } from "./uploads.ts";

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
  const optimized = await optimize(program);
  const constants = flattenTree<Tensor>(fixed).leaves;
  const layouts = takeFixedLayouts(optimized, constants.length);
  const devices = await devicesFor(options.device);
  const { leaves: states, structure: stateStructure } = flattenTree<HostTensor>(state);
  const expected = flattenTree<Spec>(specs);
  const key = printStructure(expected.structure);
  const firstState = layouts.count, firstInput = firstState + states.length;
  const outputs = program.outputs.length - states.length;
  let on: Backend | undefined;
  const executable = await devices.choose(
    optimized,
    [...constants, ...states, ...flattenTree<Tensor>(input).leaves],
    ({ backend }) => {
      on = backend;
      return backend.compile(layouts.program, {
        donate: layouts.program.inputs.map(() => false),
        keep: program.outputs.map(() => false),
      });
    },
  );
  const backend = on as Backend; // the one that it was compiled for
  const build = (leaves: readonly HostTensor[]): Output =>
    outputStructure.kind === "leaf" ? leaves[0] as Output : unflattenTree<Output>(outputStructure, leaves); // one leaf: the output itself
  const code: StepCode<State, Output> = {
    build,
    buildState: (leaves) => unflattenTree<State>(stateStructure, leaves),
  };
  const held = new Set<WeakRef<HeldTensors>>();
  let latest: LoopForm | undefined;
  const formFor = (input: Input, first: ReturnType<typeof flattenTree<HostTensor>>): LoopForm => {
    if (latest?.accepts(input)) return latest;
    const bindings = bindShapes(
      expected.leaves.map(({ shape }) => shape),
      first.leaves.map(({ shape }) => shape),
    );
    const made = unflattenTree(outputStructure, program.outputs.slice(0, outputs));
    return latest = {
      accepts: acceptsLike(input, first),
      inputs: placesOf(input, {}),
      outputs: placesOf(made, bindings),
    };
  };
  return {
    accepts: (input) => hasSpecs(input, key, expected.leaves),
    async begin(fixed, state, input) {
      const first = flattenTree<HostTensor>(input);
      const leaves = flattenTree<HostTensor | DeviceTensor>(fixed).leaves;
      const values = await holdAll(leaves, backend, held, (fixed) => layOut(layouts, fixed));
      try {
        const calls: Calls = {
          executable,
          constants: values.tensors,
          states: flattenTree<HostTensor>(state).leaves,
          outputs,
        };
        const loop = executable.loop
          ? await loopOf(calls, executable, first.leaves, { firstState, firstInput })
          : callByCall(calls, first.leaves);
        return new Begun<State, Input, Output>(code, formFor(input, first), loop, values);
      } catch (error) {
        values.release(error instanceof DeviceLost);
        throw error;
      }
    },
    [Symbol.dispose]: () => executable[Symbol.dispose](),
  };
}

/** What all loops over a step have in common. */
interface StepCode<State, Output> {
  readonly build: (leaves: readonly HostTensor[]) => Output;
  readonly buildState: (leaves: readonly HostTensor[]) => State;
}

/** What loops on inputs of the same specs have in common. */
type LoopForm = Pick<StepLoop<unknown, unknown, unknown>, "accepts" | "inputs" | "outputs">;

/** A loop that was begun. There may be thousands of them, so what they share is not theirs. */
class Begun<State, Input, Output> implements StepLoop<State, Input, Output> {
  readonly runInto?: RunInto;
  readonly #code: StepCode<State, Output>;
  readonly #form: LoopForm;
  readonly #loop: LeafLoop;
  readonly #values: HeldTensors;
  #isDisposed = false;

  constructor(code: StepCode<State, Output>, form: LoopForm, loop: LeafLoop, values: HeldTensors) {
    this.#code = code;
    this.#form = form;
    this.#loop = loop;
    this.#values = values;
    if (!loop.runInto) return;
    this.runInto = (inputs, outputs) => {
      try {
        loop.runInto?.(inputs, outputs);
      } catch (error) {
        throw this.#failed(error);
      }
    };
  }

  get inputs(): readonly Place[] {
    return this.#form.inputs;
  }

  get outputs(): readonly Place[] {
    return this.#form.outputs;
  }

  accepts(input: Input): boolean {
    return this.#form.accepts(input);
  }

  run(input: Input): Output | Promise<Output> {
    try {
      const results = this.#loop.run(leavesOf(input));
      if (!(results instanceof Promise)) return this.#code.build(results);
      results.catch((error) => this.#failed(error));
      return results.then(this.#code.build);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  readState(): State {
    return this.#code.buildState(this.#loop.read());
  }

  writeState(state: State): void {
    this.#loop.write(flattenTree<HostTensor>(state).leaves);
  }

  #failed(error: unknown): unknown {
    if (error instanceof DeviceLost) this.#values.forget();
    return error;
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#loop[Symbol.dispose]();
    this.#values.release();
  }
}

function placesOf(tree: unknown, bindings: Bindings): Place[] {
  const { leaves, paths } = flattenTree<Spec>(tree);
  return leaves.map(({ shape, dtype }, index) => ({
    path: paths[index],
    spec: { shape: evaluateShape(shape, bindings), dtype },
  }));
}

/** What the calls of a loop have in common. */
interface Calls {
  readonly executable: Executable;
  readonly constants: readonly Input[];
  readonly states: readonly HostTensor[];
  /** How many outputs come before the state. */
  readonly outputs: number;
}

/** A loop over leaves. */
interface LeafLoop extends Pick<Loop, "read" | "write">, Disposable {
  run(input: readonly HostTensor[]): readonly HostTensor[] | Promise<readonly HostTensor[]>;
  readonly runInto?: RunInto;
}

/** A loop in which a device carries the state. */
async function loopOf(
  { constants, states, outputs }: Calls,
  executable: Executable,
  input: readonly HostTensor[],
  { firstState, firstInput }: { readonly firstState: number; readonly firstInput: number },
): Promise<LeafLoop> {
  const loop = await executable.loop?.([...constants, ...states, ...input], {
    carried: states.map((_, index) => ({ input: firstState + index, output: outputs + index })),
    fresh: input.map((_, index) => firstInput + index),
  });
  if (!loop) throw new Error("Only an executable that has loops begins one");
  return loop;
}

/** The same with ordinary calls, for a backend without loops. */
function callByCall(
  { executable, constants, states, outputs }: Calls,
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
    run: (leaves) => runNow?.(leaves) ?? executable.run([...constants, ...current, ...leaves]).then(finish),
    runInto: runNow && ((inputs, outputs) => {
      const results = runNow(first.map((leaf, index) => ({ ...leaf, data: inputs[index] })));
      results.forEach(({ data }, index) => outputs[index].set(data));
    }),
    read: () => [...current],
    write: (next) => {
      current = next;
    },
    [Symbol.dispose]: () => {},
  };
}

function leavesOf(input: unknown): HostTensor[] {
  return isLeaf(input) ? [input as HostTensor] : flattenTree<HostTensor>(input).leaves; // as accepted
}

/** Whether inputs are like the first one, which is not kept. */
function acceptsLike(
  first: unknown,
  { leaves, structure }: { readonly leaves: readonly HostTensor[]; readonly structure: Structure },
): (input: unknown) => boolean {
  if (isLeaf(first)) {
    const [{ dtype, shape }] = leaves;
    return (input) =>
      isLeaf(input) && input.dtype === dtype && sameShape(input.shape, shape) && hasValues(input as Tensor);
  }
  const key = printStructure(structure), specs = leaves.map(printSpec);
  return (input) => {
    const given = flattenTree<Tensor>(input);
    return printStructure(given.structure) === key &&
      given.leaves.every((leaf, index) => printSpec(leaf) === specs[index] && hasValues(leaf));
  };
}

function hasValues(leaf: Tensor): boolean {
  return leaf.kind !== "host" || isFilled(leaf);
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
