/** The models of the guide (examples/01… to 09…), at its sizes, and the operators that they become. */
import { guideModels } from "../../../../examples/support/guide_models.ts";
import type { ExportCase } from "./cases.ts";

const expectedOperators: Readonly<Record<string, Pick<ExportCase, "operators" | "without">>> = {
  "guide, 1: a first model": { operators: ["Gather", "LSTM"], without: ["Scan"] },
  "guide, 2: outputs and states": { operators: ["GRU", "RNN"], without: ["Scan"] },
  "guide, 3: encoder and decoder": { operators: ["LSTM"], without: ["Scan"] },
  "guide, 4: stacked cells": { operators: ["Scan"] },
  "guide, 4: a cell of one's own": { operators: ["Scan"] },
  "guide, 5 and 6: a stateful layer": { operators: ["LSTM"], without: ["Scan"] },
  "guide, 7: both ways": { operators: ["LSTM"], without: ["Scan"] },
  "guide, 8: digits row by row": { operators: ["LSTM", "BatchNormalization"], without: ["Scan"] },
  "guide, 9: nested inputs, a list": { operators: ["Scan"] },
  "guide, 9: nested inputs by name": { operators: ["Scan"] },
  "guide, 9: frames of a film": { operators: ["Scan"] },
  "guide, 9: handwriting": { operators: ["Scan"] },
};

/** One model or more for each section. */
export const guideCases: readonly ExportCase[] = guideModels.map(({ name, layer, input, data }) => ({
  name,
  layer,
  options: { input },
  data,
  ...expectedOperators[name],
}));
