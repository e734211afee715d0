/** A model that was saved and loaded predicts the same, and freezes the same. */
import * as cf from "@cellfold/cellfold";
import { loadCheckpoint, saveCheckpoint } from "@cellfold/cellfold/safetensors";
import { libraryInput, revivers } from "../data.ts";
import { literal } from "../source.ts";
import { program } from "../program.ts";
import { type Context, Fault, predicted, trainerFor } from "./context.ts";

/** Throws unless a checkpoint of the model gives the same numbers, bit by bit. */
export async function saving(context: Context): Promise<void> {
  const { realized, device } = context;
  const { model, variables } = realized;
  const { model: loaded, variables: restored } = loadCheckpoint(
    saveCheckpoint({ model, variables }),
    revivers,
  );
  const lines = (got: string, expected: string) => [
    `const loaded = cf.fromJson(JSON.parse(JSON.stringify(cf.toJson(model))), { cells: {}, functions: {} }); // and those above`,
    `const got = ${got};`,
    `const expected = ${expected};`,
    `const tolerance = 0;`,
  ];
  const leaves = [model, loaded].map((layer) => layer.trainableLeaves(variables.params));
  if (leaves[0].join() !== leaves[1].join()) {
    throw new Fault(
      `the loaded model trains other weights: ${leaves[1]}, expected ${leaves[0]}`,
      program(realized, lines("loaded.trainableLeaves(variables.params)", literal(leaves[0]))),
    );
  }
  const again = JSON.stringify(cf.toJson(loaded));
  if (again !== JSON.stringify(cf.toJson(model))) {
    throw new Fault(
      `the loaded model is saved as ${again}`,
      program(realized, lines("[JSON.stringify(cf.toJson(loaded))]", "[JSON.stringify(cf.toJson(model))]")),
    );
  }
  const x = libraryInput(realized, realized.inputs);
  using trainer = trainerFor(realized, device, loaded);
  const [before, after] = [
    await predicted(context, x),
    await predicted({ realized, trainer }, x, undefined, restored),
  ];
  if (same(before, after)) return;
  throw new Fault(
    `the loaded model predicts ${literal(after)}, before it was saved ${literal(before)}`,
    program(
      realized,
      lines(
        `cf.treeLeaves(await cf.predict(loaded, variables, x)).flatMap(({ data }) => [...data])`,
        `cf.treeLeaves(await cf.predict(model, variables, x)).flatMap(({ data }) => [...data])`,
      ),
    ),
  );
}

/** Whether all numbers are the same, NaN included. */
function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((part, i) => same(part, b[i]));
  }
  return Object.is(a, b);
}
