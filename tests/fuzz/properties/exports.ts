/** A model in a WebAssembly file of its own gives what the device gives, to the bit, whole and step by step. */
import * as cf from "@cellfold/cellfold";
import { type StandaloneOptions, toWasm, type WasmModel } from "@cellfold/cellfold/standalone";
import { arraysOf, type LoadedStream, moduleOf } from "../../formats/standalone/support.ts";
import { libraryInput, treeOfPlaces } from "../data.ts";
import { program } from "../program.ts";
import { Skipped } from "../skipped.ts";
import { literal, treeText } from "../source.ts";
import { type Context, Fault, trainerFor } from "./context.ts";

/** The device whose code is exported. */
const DEVICE = { name: "wasm", threads: 1, relaxed: false } as const;

/** Throws unless files give the numbers of the device. */
export async function exports(context: Context): Promise<void> {
  const { realized } = context;
  const { one, model, variables } = realized;
  if (one.statefulBatch !== null && one.statefulBatch !== one.samples) {
    throw new Skipped("several stateful batches");
  }
  const x = libraryInput(realized, realized.inputs) as cf.Tree<cf.HostTensor>;
  /**
   * The sizes of an input: its batch and its steps are open, those of one length by one name. `predict` compiles a sequence
   * of one step as such.
   */
  const sizesOf = (place: number, fewest = 2) => {
    const { shape, time } = one.inputs[place];
    const sizes = shape.map((size, axis) =>
      axis === 0 && time > 0 && size >= fewest && !one.fixedTime ? `steps_${size}` : size
    );
    return [one.statefulBatch, ...sizes];
  };
  const specsOf = (fewest: number) =>
    treeOfPlaces<cf.Spec>(one.inputTree, (place) => cf.spec(sizesOf(place, fewest), one.inputs[place].dtype));
  const input = specsOf(2);
  const predict = await loaded<(x: unknown) => cf.Tree<cf.HostTensor>>(toWasm(model, variables, { input }));
  using trainer = trainerFor(realized, DEVICE);
  const expected = await cf.predictWith(trainer, variables, x, { batchSize: one.samples });
  const got = predict(x);
  if (!same(got, expected)) {
    const text = treeText(
      one.inputTree,
      (place) => `cf.spec(${literal(sizesOf(place))}, "${one.inputs[place].dtype}")`,
    );
    throw new Fault(
      `a file of its own gives ${literal(numbersOf(got))}, the device ${literal(numbersOf(expected))}`,
      program(realized, [
        `const { toWasm } = await import("@cellfold/cellfold/standalone");`,
        `const { wasm, loader } = toWasm(model, variables, { input: ${text} });`,
        `const { load } = await import("data:text/javascript," + encodeURIComponent(loader));`,
        `const numbers = (output) => cf.treeLeaves(output).flatMap(({ data }) => [...data]);`,
        `const got = numbers((await load(wasm))(x));`,
        `const device = ${JSON.stringify(DEVICE)};`,
        `const expected = numbers(await cf.predict(model, variables, x, { device, batchSize: ${one.samples} }));`,
        `const tolerance = 0;`,
      ]),
    );
  }
  if (one.statefulBatch !== null || one.fixedTime || one.inputs.some(({ time }) => time === 0)) return;
  await steps(context, x, { input: specsOf(1), stream: true, batch: one.samples });
}

/** The same for a stream, which is refused here exactly if it is refused by the library. */
async function steps(
  { realized: { model, variables } }: Context,
  x: cf.Tree<cf.HostTensor>,
  options: StandaloneOptions,
): Promise<void> {
  let exported: WasmModel | undefined;
  try {
    exported = toWasm(model, variables, options);
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
  }
  const leaves = cf.treeLeaves<cf.HostTensor>(x);
  const length = leaves[0].shape[1];
  if (leaves.some(({ shape }) => shape[1] !== length)) return; // a step of one is none of another
  const step = (index: number) =>
    cf.mapTree(x, (leaf: cf.HostTensor) => cf.host(cf.at(leaf, index, { axis: 1 })));
  let outputs: cf.Tree<cf.HostTensor>[] = [];
  try {
    using stream = cf.streaming(model, variables, { device: DEVICE, batch: options.batch });
    for (let index = 0; index < length; index++) {
      outputs = [...outputs, await cf.toHost(await stream.step(step(index))) as cf.Tree<cf.HostTensor>];
    }
  } catch (error) {
    if (!exported) return;
    throw new Error("a stream is refused, but exported", { cause: error });
  }
  if (!exported) throw new Error("a stream that is not refused cannot be exported");
  const stream = await loaded<LoadedStream>(exported);
  for (let index = 0; index < length; index++) {
    const got = stream.step(arraysOf(step(index)));
    if (same(got, arraysOf(outputs[index]))) continue;
    throw new Error(`step ${index} of a file of its own gives ${literal(got)}`);
  }
}

async function loaded<Loaded>({ wasm, loader }: WasmModel): Promise<Loaded> {
  return await (await moduleOf<Loaded>(loader)).load(wasm);
}

function numbersOf(tree: cf.Tree<cf.HostTensor>): number[] {
  return cf.treeLeaves<cf.HostTensor>(tree).flatMap(({ data }) => [...data]);
}

/** Whether two trees of tensors or arrays have the same values, NaN and zeros of either sign included. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b);
  const keys = Object.keys(a).filter((key) => key !== "kind");
  const values = (of: object, key: string) => (of as Readonly<Record<string, unknown>>)[key]; // its own key
  return keys.length === Object.keys(b).filter((key) => key !== "kind").length &&
    keys.every((key) => same(values(a, key), values(b, key)));
}
