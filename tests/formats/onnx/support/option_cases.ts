/** Models to export whose cells have the options that change their equations: peepholes, a clip, coupled gates, a projection. */
import {
  bidirectional,
  embedding,
  gru,
  type Layer,
  lstm,
  lstmCell,
  rnn,
  sequential,
  simpleRnn,
  spec,
  tensor,
} from "@cellfold/cellfold";
import { type LstmCellOptions } from "@cellfold/cellfold/internal";
import { noise } from "../../../../examples/support/section.ts";
import type { ExportCase } from "./cases.ts";

type Changes = Partial<LstmCellOptions>;

/** The options that the operator LSTM has. Values beyond the clips occur in each gate. */
const ofOperator: readonly Changes[] = [
  { peepholes: true },
  { clip: 0.3 },
  { inputForget: true },
  { peepholes: true, clip: 0.25 },
  { peepholes: true, inputForget: true },
  { peepholes: true, inputForget: true, clip: 0.25 },
  { peepholes: true, inputForget: true, useBias: false, activation: "softsign" },
  { clip: 1e300 }, // none, as a float32
];

function plain(name: string, layer: Layer, operator: "LSTM" | "GRU" | "RNN" | "Scan"): ExportCase {
  return {
    name,
    layer,
    options: { input: spec([null, null, 4]) },
    data: noise([3, 5, 4], 7),
    operators: [operator],
    without: operator === "Scan" ? ["LSTM", "GRU", "RNN"] : ["Scan"],
  };
}

const lstms = ofOperator.flatMap((changes): ExportCase[] => {
  const options = { units: 3, returnSequences: true, returnState: true, ...changes };
  const name = JSON.stringify(changes);
  return [
    plain(`lstm ${name}`, lstm(options), "LSTM"),
    plain(`bidirectional lstm ${name}`, bidirectional(lstm(options)), "LSTM"),
  ];
});

const padded: ExportCase = {
  name: "right-padded lstm with peepholes, a clip and coupled gates",
  layer: sequential([
    embedding({ inputDim: 6, outputDim: 4, maskZero: true }),
    lstm({ units: 5, peepholes: true, inputForget: true, clip: 0.4, goBackwards: true, returnState: true }),
  ]),
  options: { input: spec([null, null], "int32"), rightPadded: true },
  data: tensor([[3, 1, 2, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]], { dtype: "int32" }),
  operators: ["LSTM"],
  without: ["Scan"],
};

/** What is no operator: a projection, directions that differ, and a clip that a float32 does not tell from 0. */
const scans: readonly ExportCase[] = [
  plain("lstm with a projection", lstm({ units: 5, projection: 2 }), "Scan"),
  plain(
    "rnn around an lstm cell with a projection and all else",
    rnn(lstmCell({ units: 5, projection: 2, peepholes: true, inputForget: true, clip: 0.4 }), {
      returnSequences: true,
      returnState: true,
    }),
    "Scan",
  ),
  plain("bidirectional lstm with a projection", bidirectional(lstm({ units: 5, projection: 2 })), "Scan"),
  ...([{ peepholes: true }, { clip: 0.3 }, { inputForget: true }] satisfies Changes[]).map((changes) =>
    plain(
      `lstm one way, and the other with ${JSON.stringify(changes)}`,
      bidirectional(lstm({ units: 3 }), {
        backwardLayer: lstm({ units: 3, goBackwards: true, ...changes }),
      }),
      "Scan",
    )
  ),
  plain("lstm with a clip next to 0", lstm({ units: 3, clip: 1e-60 }), "Scan"),
];

/** Every case. */
export const optionCases: readonly ExportCase[] = [
  ...lstms,
  padded,
  plain("gru with a clip", gru({ units: 4, clip: 0.3, returnSequences: true }), "GRU"),
  plain("gru with the reset before and a clip", gru({ units: 4, clip: 0.3, resetAfter: false }), "GRU"),
  plain("bidirectional gru with a clip", bidirectional(gru({ units: 4, clip: 0.3 })), "GRU"),
  plain("simple rnn with a clip", simpleRnn({ units: 4, clip: 0.3, goBackwards: true }), "RNN"),
  ...scans,
];
