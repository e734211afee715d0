/** A stream's chunks, one after another, are what `predict` gives of the whole; or the stream is refused by name. */
import * as cf from "@cellfold/cellfold";
import { libraryInput, modelOf } from "../data.ts";
import { list, type Nested } from "../interpreter/nested.ts";
import { flatPlaces, inputText, program } from "../program.ts";
import { randomFrom } from "../random.ts";
import { literal } from "../source.ts";
import { byPlace, type Context, counted, exactOutputs, Fault, firstApart } from "./context.ts";
import { placesOf } from "../data.ts";
import { Skipped } from "../skipped.ts";

/** Throws unless a stream in random chunks gives what the interpreter gives of the whole sequence. */
export async function streams(context: Context): Promise<void> {
  const { realized, device } = context;
  const { one, inputs, variables } = realized;
  if (one.statefulBatch !== null) throw new Skipped("the carry of a stateful model has its own property");
  if (one.inputs.some(({ time }) => time === 0)) throw new Skipped("an input has no steps");
  const { outputs, exact, tolerances } = exactOutputs(context);
  const steps = list(inputs[0][0]).length;
  const random = randomFrom(one.seed).fork("chunks");
  const cuts: number[] = [];
  for (let at = 0; at < steps;) {
    const next = Math.min(steps, at + random.whole(1, 3));
    cuts.push(next - at);
    at = next;
  }
  if (cuts.length < 2) throw new Skipped("one chunk");
  const chunkOf = (from: number, size: number) =>
    inputs.map((samples) => samples.map((s) => list(s).slice(from, from + size)));
  const pushed: Nested[][][] = [];
  let from = 0;
  let pushing = false;
  try {
    using stream = cf.streaming(modelOf(one.model), variables, {
      batch: one.samples,
      device: device as cf.Device,
    });
    for (const size of cuts) {
      const output = await stream.push(libraryInput(realized, chunkOf(from, size)));
      pushed.push(byPlace(one, await cf.toHost(output)));
      from += size;
      pushing = true;
    }
  } catch (error) {
    // Refused before anything was put out: it must say why, and which layer it is.
    const isRefusal = (error instanceof TypeError || error instanceof RangeError) && !pushing &&
      (one.fixedTime || /Cannot (feed|stream|use)/.test(error.message));
    if (isRefusal) throw new Skipped("refused: " + error.message.replace(/[\d\[\],]+/g, "…").slice(0, 60));
    throw error;
  }
  one.heads.forEach((_, place) => {
    // What was the last output and has other axes now is that of the steps so far, whatever its axis 1 is.
    const lengthOf = (x: Nested) => Array.isArray(x) ? x.length : -1;
    const isTimed = outputs[place].every(({ x }, sample) =>
      lengthOf(x) === steps && pushed.every((chunk, index) => lengthOf(chunk[place][sample]) === cuts[index])
    );
    const joined = isTimed
      ? outputs[place].map((_, sample) => pushed.flatMap((chunk) => list(chunk[place][sample])))
      : pushed[pushed.length - 1][place];
    const { values, places } = exact[place];
    const apart = firstApart(counted(outputs[place], joined).values, values, tolerances[place]);
    if (apart === undefined) return;
    const leaf = placesOf(one.outputTree).indexOf(place);
    let start = 0;
    throw new Fault(
      `a stream in chunks of ${cuts} puts out ${literal(joined)} for output ${place}, expected ${
        values[apart]
      } at ${places[apart]}`,
      program(realized, [
        `const stream = cf.streaming(model, variables, { batch: ${one.samples} });`,
        `const chunks = [];`,
        ...cuts.map((size) => {
          const text = inputText(realized, chunkOf(start, size));
          start += size;
          return `chunks.push(cf.host(cf.treeLeaves(await stream.push(${text}))[${leaf}]));`;
        }),
        isTimed
          ? `const values = cf.host(cf.concat(chunks, { axis: 1 })).data;`
          : `const values = chunks.at(-1).data;`,
        `const got = ${literal(flatPlaces(places, joined))}.map((place) => values[place]);`,
        `const expected = ${literal(values)};`,
        `const tolerance = ${tolerances[place][apart]};`,
      ]),
    );
  });
}
