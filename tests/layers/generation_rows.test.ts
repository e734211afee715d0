/** Rows of a state are chosen by beams, and kept when a sequence has ended: a state without rows is refused. */
import * as cf from "@cellfold/cellfold";
import type { RecurrentCell, Spec, Tensor } from "@cellfold/cellfold";
import { assertEquals, assertRejects } from "@std/assert";

const TOKENS = 4;

/** A cell that adds up the mean of all sequences, which belongs to none of them. */
function meanCell(): RecurrentCell<Record<string, never>, Tensor, Tensor, Tensor> {
  return {
    type: "meanCell",
    options: {},
    initParams: () => ({}),
    initState: (_: unknown, input: Spec) => cf.zeros([Number(input.shape[1])]),
    step: () => (sum, x) => [cf.add(x, sum), cf.add(sum, cf.mean(x, { axes: 0 }))],
  };
}

Deno.test("a state without a row for each sequence is refused, whatever the batch is", async () => {
  const model = cf.sequential([
    cf.embedding({ inputDim: TOKENS, outputDim: 2 }),
    cf.rnn(meanCell(), { returnSequences: true }),
    cf.dense({ units: TOKENS }),
  ]);
  const variables = cf.init(model, cf.key(0), cf.spec([null, null], "int32"));
  const shared = { steps: 3, device: "reference" } as const;
  for (const batch of [1, 2, 3]) { // the carry has 2 elements, so that a batch of 2 looks like rows
    const prompt = cf.zeros([batch, 2], { dtype: "int32" });
    await assertRejects(
      () => cf.beamSearch(model, variables, { ...shared, prompt, beams: 2 }),
      TypeError,
      "carry is float32[2] for 3 sequences, expected a row for each on its first axis",
    );
    const generated = (stop?: number) =>
      cf.generate(model, variables, {
        ...shared,
        prompt,
        temperature: 0,
        ...(stop !== undefined && { stop }),
      });
    assertEquals((await generated()).tokens.shape, [batch, 3]);
    if (batch === 1) await generated(1);
    else {await assertRejects(
        () => generated(1),
        TypeError,
        "Cannot end one of several",
      );}
  }
});
