/** Regularizers and constraints as Keras 2, Keras 3 and TensorFlow.js spell them. */
import { assertEquals } from "@std/assert";
import { withoutUnknownRules } from "../../../formats/keras/training_options.ts";
import {
  readConstraint,
  readRegularizer,
  writeConstraint,
  writeRegularizer,
} from "../../../formats/keras/weight_rules.ts";
import type { Json } from "../../../src/options/json.ts";

const object = (className: string, config: Json = {}): Json => ({ class_name: className, config });

Deno.test("regularizers are read in every spelling, and written in that of Keras 3", () => {
  const l2 = { l2: 0.01 };
  for (const value of ["l2", "L2", object("L2"), object("L2", { l2: 0.01 })]) {
    assertEquals(readRegularizer(value), l2);
  }
  assertEquals(readRegularizer(object("L1L2", { l1: 0.5 })), { l1: 0.5, l2: 0 });
  assertEquals(readRegularizer("l1_l2"), { l1: 0, l2: 0 });
  const orthogonal = { name: "orthogonal", factor: 0.5, mode: "columns" };
  assertEquals(
    readRegularizer(object("OrthogonalRegularizer", { factor: 0.5, mode: "columns" })),
    orthogonal,
  );
  for (const ours of [l2, { l1: 3 }, { l1: 1, l2: 0 }, orthogonal] as Json[]) {
    assertEquals(readRegularizer(writeRegularizer(ours)), ours);
  }
  assertEquals(writeRegularizer("orthogonal"), {
    module: "keras.regularizers",
    class_name: "OrthogonalRegularizer",
    config: { factor: 0.01, mode: "rows" },
    registered_name: null,
  });
  const refused = [object("L2", { l2: -1 }), object("L1L2", { l1: null, l2: "x" })];
  for (const value of [object("Mine"), object("L2", { factor: 1 }), 3, object("L2", []), ...refused]) {
    assertEquals(readRegularizer(value), undefined);
  }
});

Deno.test("constraints are read in every spelling, and written in that of Keras 3", () => {
  for (const value of ["max_norm", "MaxNorm", object("MaxNorm")]) {
    assertEquals(readConstraint(value), { name: "maxNorm" });
  }
  assertEquals(readConstraint(object("NonNeg")), { name: "nonNeg" });
  const bounds = { name: "minMaxNorm", minValue: 0.5, maxValue: 2, rate: 0.25, axis: [0, 1] };
  assertEquals(readConstraint(writeConstraint(bounds)), bounds);
  assertEquals(readConstraint(writeConstraint("unitNorm")), { name: "unitNorm", axis: 0 });
  const refused = [object("MaxNorm", { max_value: 2, axis: null }), object("MinMaxNorm", { rate: 2 })];
  for (const value of [object("RadialConstraint"), object("MaxNorm", { m: 2 }), null, ...refused]) {
    assertEquals(readConstraint(value), undefined);
  }
});

Deno.test("rules without an equivalent are left out and noted, those of a cell's output among them", () => {
  const cell = object("LSTMCell", { name: "c", kernel_regularizer: "l1", activity_regularizer: "l2" });
  const layer = object("RNN", {
    name: "r",
    cell,
    bias_constraint: object("Mine"),
    activity_regularizer: "l1",
  });
  const { config, notes } = withoutUnknownRules(object("Sequential", { name: "s", layers: [layer] }));
  assertEquals(notes, [
    'the layer "c" (LSTMCell) has the activity regularizer "l2", which is left out',
    'the layer "r" (RNN) has the bias constraint "Mine", which is left out',
  ]);
  const kept = object("LSTMCell", { name: "c", kernel_regularizer: "l1", activity_regularizer: null });
  const expected = object("RNN", {
    name: "r",
    cell: kept,
    bias_constraint: null,
    activity_regularizer: "l1",
  });
  assertEquals(config, object("Sequential", { name: "s", layers: [expected] }));
});
