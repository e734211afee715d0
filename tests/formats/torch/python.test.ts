/** Models go to PyTorch, are loaded strictly, trained there, and come back with the same predictions. */
import { assert, assertEquals } from "@std/assert";
import {
  batchNormalization,
  bidirectional,
  dense,
  embedding,
  gru,
  type HostTensor,
  init,
  key,
  type Layer,
  layerNormalization,
  lstm,
  mapTree,
  mul,
  normal,
  predict,
  sequential,
  simpleRnn,
  type Spec,
  spec,
  type Tensor,
  tensor,
} from "@cellfold/cellfold";
import { decodeSafetensors, encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { decodeTorchFile, fromTorch, type TorchOptions, toTorch } from "@cellfold/cellfold/torch";
import { testWithPython } from "../support/python.ts";

interface Pair {
  readonly layer: Layer;
  readonly input: Spec;
  readonly x: Tensor;
  readonly options?: TorchOptions;
  /** The class `Model` in PyTorch. */
  readonly source: string;
}

const tokens = tensor(Array.from({ length: 24 }, (_, i) => (i * 7) % 11), { shape: [4, 6], dtype: "int32" });

const pairs: Readonly<Record<string, Pair>> = {
  "a bidirectional LSTM with projections, normalizations and a classifier": {
    layer: sequential([
      embedding({ inputDim: 11, outputDim: 5, name: "table" }),
      bidirectional(lstm({ units: 6, projection: 4, returnSequences: true }), { name: "lower" }),
      bidirectional(lstm({ units: 6, projection: 4, returnSequences: true }), { name: "upper" }),
      layerNormalization({ epsilon: 1e-5, name: "norm" }),
      gru({ units: 7, name: "gru" }),
      batchNormalization({ epsilon: 1e-5, momentum: 0.9, name: "batch" }),
      dense({ units: 3, name: "fc", activation: "softmax" }),
    ]),
    input: spec([null, null], "int32"),
    x: tokens,
    options: { modules: { lower: "rnn", upper: "rnn" } },
    source: `
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 5)
        self.rnn = nn.LSTM(5, 6, num_layers=2, batch_first=True, bidirectional=True, proj_size=4)
        self.norm = nn.LayerNorm(8)
        self.gru = nn.GRU(8, 7, batch_first=True)
        self.batch = nn.BatchNorm1d(7)
        self.fc = nn.Linear(7, 3)
    def forward(self, x):
        x, _ = self.rnn(self.table(x.long()))
        x, _ = self.gru(self.norm(x))
        return torch.softmax(self.fc(self.batch(x[:, -1])), -1)
`,
  },
  "GRUs in both directions below a relu RNN, without biases": {
    layer: sequential([
      bidirectional(gru({ units: 4, useBias: false, returnSequences: true }), { name: "gru" }),
      simpleRnn({ units: 5, activation: "relu", useBias: false, name: "rnn" }),
      dense({ units: 2, useBias: false, name: "fc" }),
    ]),
    input: spec([null, null, 3]),
    x: normal(key(9), [4, 6, 3]),
    source: `
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True, bidirectional=True, bias=False)
        self.rnn = nn.RNN(8, 5, batch_first=True, nonlinearity="relu", bias=False)
        self.fc = nn.Linear(5, 2, bias=False)
    def forward(self, x):
        x, _ = self.gru(x)
        x, _ = self.rnn(x)
        return self.fc(x[:, -1])
`,
  },
};

/** Fails unless the values differ by at most 1e-6 of the largest, or of 1. */
function assertSame(actual: Tensor, expected: HostTensor, what: string): void {
  const { data } = actual as HostTensor; // of predict
  assert(data.length === expected.data.length, what);
  const largest = Math.max(1, ...expected.data);
  expected.data.forEach((value, index) => {
    assert(
      Math.abs(data[index] - value) <= 1e-6 * largest,
      `${what}: element ${index}: ${data[index]}, ${value}`,
    );
  });
}

for (const [name, { layer, input, x, options, source }] of Object.entries(pairs)) {
  testWithPython(
    `${name}: predictions stay on the way to PyTorch, and after training there`,
    "torch and safetensors",
    async (folder) => {
      let seed = 20;
      const fresh = init(layer, key(1), input);
      // Statistics and biases that are not those of the beginning; a variance is positive.
      const variables = mapTree(
        fresh,
        (leaf: Tensor, path) =>
          path.includes("movingVariance") ? leaf : mul(normal(key(seed++), leaf.shape), 0.5),
      );
      await Deno.writeFile(folder.path("x.safetensors"), encodeSafetensors({ x }));
      await Deno.writeFile(
        folder.path("here.safetensors"),
        encodeSafetensors(toTorch(layer, variables, options), { metadata: { format: "pt" } }),
      );
      await folder.run(`
import torch
from torch import nn
from safetensors.torch import load_file, save_file
torch.manual_seed(0)
${source}
x = load_file("x.safetensors")["x"]
model = Model()
state = load_file("here.safetensors")
assert sorted(state) == sorted(model.state_dict()), (sorted(state), sorted(model.state_dict()))
model.load_state_dict(state, strict=True)
model.eval()
before = model(x).detach()
model.train()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(20):
    optimizer.zero_grad()
    loss = ((model(x) - torch.linspace(0, 1, before.numel()).reshape(before.shape)) ** 2).mean()
    loss.backward()
    optimizer.step()
model.eval()
after = model(x).detach()
assert (after - before).abs().max() > 0.01
save_file({"before": before.contiguous(), "after": after.contiguous()}, "outputs.safetensors")
save_file(model.state_dict(), "there.safetensors")
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "there.pt")
`);
      const { before, after } =
        decodeSafetensors(await Deno.readFile(folder.path("outputs.safetensors"))).tensors;
      assertSame(await predict(layer, variables, x) as Tensor, before, "as it left");
      const { tensors } = decodeSafetensors(await Deno.readFile(folder.path("there.safetensors")));
      const saved = await decodeTorchFile(await Deno.readFile(folder.path("there.pt")));
      assertEquals(saved.tensors, tensors);
      const trained = fromTorch(layer, init(layer, key(2), input), tensors, options);
      assertSame(await predict(layer, trained, x) as Tensor, after, "as it came back");
    },
  );
}
