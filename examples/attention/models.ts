/** The encoder, the decoder with attention, and both as one model to be trained. */
import * as cf from "@cellfold/cellfold";

const UNITS = 48;

/** How many letters are read, which dates are filled up to with spaces. */
export const LONGEST = 22;

const gru = cf.gruCell({ units: UNITS });

interface AttentiveParams {
  readonly query: cf.Tensor;
  readonly gru: ReturnType<typeof gru.initParams>;
}
interface AttentiveState {
  /** `[batch, units]`, of the GRU. */
  readonly h: cf.Tensor;
  /** `[batch, letters, 2·units]`: what the encoder says of each letter. It stays as it is. */
  readonly memory: cf.Tensor;
}
interface AttentiveOutput {
  readonly features: cf.Tensor;
  /** `[batch, letters]`, which sum to 1. */
  readonly weights: cf.Tensor;
}

/**
 * A GRU that sees, besides its input, the mean of the memory, weighted by how well each letter fits `h` (Luong et al.,
 * 2015, "general"). As the memory is a part of the state, whatever keeps, stores or forks states does so with it.
 */
const attentiveCell: cf.RecurrentCell<AttentiveParams, AttentiveState, cf.Tensor, AttentiveOutput> = {
  type: "attentiveCell",
  options: {},
  initParams: (key, { shape: [batch, features] }) => ({
    query: cf.normal(key, [UNITS, 2 * UNITS], { stddev: UNITS ** -0.5 }),
    gru: gru.initParams(cf.foldIn(key, 1), cf.spec([batch, Number(features) + 2 * UNITS])),
  }),
  initState: (_, { shape: [batch] }) => ({
    h: cf.zeros([batch, UNITS]),
    memory: cf.zeros([batch, LONGEST, 2 * UNITS]),
  }),
  step: (params, context) => ({ h, memory }, x) => {
    const weights = cf.softmax(cf.einsum("bu,btu->bt", cf.matmul(h, params.query), memory));
    const attended = cf.einsum("bt,btu->bu", weights, memory);
    const seen = cf.concat([x, attended]);
    const [output, next] = gru.step(params.gru, { ...context, input: seen })(h, seen);
    return [{ features: cf.concat([output, attended]), weights }, { h: next, memory }];
  },
};

/** Three models of the same layers. */
export function makeModels(letters: { readonly read: number; readonly written: number }) {
  const source = cf.input([LONGEST], { name: "source", dtype: "int32" });
  const memory = cf.call(
    cf.bidirectional(cf.gru({ units: UNITS, returnSequences: true })),
    cf.call(cf.embedding({ inputDim: letters.read, outputDim: 24 }), source),
  );
  const first = cf.apply((memory) => cf.at(memory, 0, { axis: 1 }), memory);
  const h = cf.call(cf.dense({ units: UNITS, activation: "tanh" }), first);

  const target = cf.input([null], { name: "target", dtype: "int32" });
  const embedded = cf.call(cf.embedding({ inputDim: letters.written, outputDim: 16 }), target);
  const write = cf.rnn(attentiveCell, { returnSequences: true });
  const readout = cf.dense({ units: letters.written });
  const alone = cf.call(write, embedded);
  const taught = cf.call(write, embedded, { initialState: { h, memory } });
  return {
    /** From letters to the first state of the decoder. */
    encoder: cf.model({ inputs: source, outputs: { h, memory } }),
    /** From the letters written so far to the logits of the next ones. */
    decoder: cf.model({ inputs: target, outputs: cf.call(readout, alone.features) }),
    /** Both, where the letters to write are known; `weights` say where the decoder looked. */
    both: cf.model({
      inputs: { source, target },
      outputs: { logits: cf.call(readout, taught.features), weights: taught.weights },
    }),
  };
}

/** The variables of the encoder and of the decoder; `carry` is what the decoder begins from. */
export function variablesOf({ params, state }: cf.Variables) {
  // Both are lists with an entry for each layer, in the order of their calls.
  const [ofLayers, states] = [
    params as readonly cf.Tree<cf.Tensor>[],
    state as readonly cf.Tree<cf.Tensor>[],
  ];
  return {
    encoder: { params: ofLayers.slice(0, 3), state: states.slice(0, 3) },
    decoder: (carry: cf.Tree<cf.Tensor>) => ({ params: ofLayers.slice(3), state: [[], { carry }, []] }),
  };
}
