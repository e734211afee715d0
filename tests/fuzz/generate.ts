/** Random cases: a model, what it is given, what is asked of it, and which properties are checked. */
import type { Case, LayerDescription } from "./description.ts";
import { drawHead } from "./generate_heads.ts";
import { growSequential, type Scope } from "./generate_layers.ts";
import type { Kind } from "./kinds.ts";
import { drawProperties } from "./properties/mod.ts";
import { randomFrom } from "./random.ts";
import { withConstraints } from "./constraints.ts";
import { withRegularizers } from "./regularizers.ts";
import { drawInput, type Drawn, headLayer, kindOf } from "./generate_ends.ts";
import { drawGraph } from "./generate_graph.ts";

/** A model of layers one after another, or some of them in a model of their own. */
function drawSequential(scope: Scope, time: number): Drawn {
  const { random } = scope;
  const input = drawInput(scope, time, 0, false);
  const { padding } = input;
  const first: LayerDescription[] = padding.kind === "value"
    ? [{ type: "masking", options: padding.value === 0 ? {} : { maskValue: padding.value } }]
    : [];
  const kind: Kind = first.length > 0 ? { ...kindOf(input), mask: input.time } : kindOf(input);
  const grown = growSequential(scope, kind, 2, random.whole(1, 4));
  const current = grown?.kind ?? kind;
  const head = headLayer(scope, current);
  const drawn = [...first, ...grown?.layer.layers ?? [], ...(head ? [head.layer] : [])];
  // Now and then nothing that was drawn fits; a model has a layer.
  const layers = drawn.length > 0 ? drawn : [{ type: "activation", options: { activation: "linear" } }];
  return {
    model: {
      type: "sequential",
      options: random.chance(0.03) ? { trainable: false } : {},
      layers,
    },
    inputs: [input],
    inputTree: 0,
    outputs: [head?.kind ?? current],
    outputTree: 0,
  };
}

/** The graph for any batch. */
function withOpenBatch(model: LayerDescription): LayerDescription {
  const { graph } = model;
  if (!graph) return model;
  const steps = graph.steps.map((step) => step.op === "input" ? { ...step, batch: null } : step);
  return { ...model, graph: { ...graph, steps } };
}

/** The case of a seed. */
export function drawCase(seed: number): Case {
  const random = randomFrom(seed);
  const batch = random.chance(0.08) ? random.whole(1, 2) : null;
  const scope: Scope = { random, draws: random.chance(0.12), batch, fixed: false };
  const time = random.pick([1, 2, 3, 3, 4, 5]);
  const { outputs, ...drawn } = random.chance(0.45) ? drawSequential(scope, time) : drawGraph(scope, time);
  const isStateful = JSON.stringify(drawn.model).includes('"stateful":true');
  const statefulBatch = isStateful ? batch : null;
  const heads = outputs.map((kind) => drawHead(random, kind));
  const draws = /"(dropout|recurrentDropout|rate|stddev)":0\.[0-9]*[1-9]/.test(JSON.stringify(drawn.model));
  const described: Omit<Case, "properties"> = {
    seed,
    ...drawn,
    model: withConstraints(
      withRegularizers(isStateful ? drawn.model : withOpenBatch(drawn.model), random.fork("regularizers")),
      random.fork("constraints"),
    ),
    samples: batch === null ? random.pick([1, 2, 3, 3, 4, 5]) : batch * random.whole(1, 2),
    holes: random.pick(["end", "end", "anywhere", "anywhere", "none"]),
    heads,
    fixedTime: scope.fixed,
    paddable: !scope.fixed && outputs.every(({ clean }) => clean) &&
      drawn.inputs.some(({ time }) => time > 0),
    timed: outputs.map(({ time }) => time > 0),
    draws,
    statefulBatch,
  };
  return { ...described, properties: drawProperties(random, described) };
}
