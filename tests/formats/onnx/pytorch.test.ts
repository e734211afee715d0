/** Models that PyTorch exports. */
import { assert, assertEquals } from "@std/assert";
import { fit, host, type Layer, predict, type Tensor, tensor } from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { python } from "./support/runtime.ts";

const script = `
import base64, io, json, sys, warnings
warnings.filterwarnings("ignore")
try:
    import torch
except ImportError:
    json.dump([], sys.stdout)
    sys.exit()
class Model(torch.nn.Module):
    def __init__(self, kind, layers, both):
        super().__init__()
        size = 10 if both else 5
        self.embedding = torch.nn.Embedding(11, 6)
        self.rnn = getattr(torch.nn, kind)(6, 5, num_layers=layers, bidirectional=both, batch_first=True)
        self.layer_norm = torch.nn.LayerNorm(size)
        self.batch_norm = torch.nn.BatchNorm1d(size)
        self.head = torch.nn.Linear(size, 3)
    def forward(self, tokens):
        outputs, _ = self.rnn(self.embedding(tokens))
        last = self.batch_norm(self.layer_norm(outputs)[:, -1])
        return torch.log_softmax(self.head(torch.relu(last)), -1)
torch.manual_seed(0)
results = []
for kind, layers, both in (("LSTM", 1, False), ("LSTM", 2, True), ("GRU", 2, False), ("RNN", 1, True)):
    model = Model(kind, layers, both).eval()
    model.batch_norm.running_mean.normal_()
    model.batch_norm.running_var.uniform_(0.5, 2)
    tokens = torch.randint(0, 11, (4, 7))
    file = io.BytesIO()
    torch.onnx.export(model, (tokens,), file, input_names=["tokens"], output_names=["scores"], dynamo=False,
                      opset_version=17, dynamic_axes={"tokens": {0: "batch", 1: "time"}})
    results.append({"name": f"{kind}, {layers} layers, bidirectional {both}",
                    "model": base64.b64encode(file.getvalue()).decode(),
                    "tokens": tokens.tolist(), "scores": model(tokens).flatten().tolist()})
json.dump(results, sys.stdout)
`;

interface Exported {
  readonly name: string;
  readonly model: string;
  readonly tokens: readonly (readonly number[])[];
  readonly scores: readonly number[];
}

Deno.test({
  name: `models that PyTorch exports predict the same and train on${
    python === undefined ? " (needs CELLFOLD_PYTHON)" : ""
  }`,
  ignore: python === undefined,
  fn: async () => {
    const { code, stdout, stderr } = await new Deno.Command(python ?? "", { args: ["-c", script] }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const exported: readonly Exported[] = JSON.parse(new TextDecoder().decode(stdout));
    for (const { name, model: file, tokens, scores } of exported) {
      const { model, variables, inputs, outputs } = fromOnnx(Uint8Array.fromBase64(file));
      assertEquals([String(inputs[0].shape), outputs], ["batch,time", ["scores"]]);
      const x = tensor(tokens, { dtype: "int32" });
      const { data } = host(await predict(model as Layer<Tensor>, variables, x));
      scores.forEach((score, index) =>
        assert(Math.abs(data[index] - score) < 1e-5, `${name}: ${data[index]}, ${score}`)
      );
      const y = tensor(
        tokens.map(([first]) => [Number(first < 4), Number(first >= 4 && first < 8), Number(first >= 8)]),
      );
      const { history } = await fit(model, variables, { x, y }, {
        optimizer: "adam",
        loss: "mse",
        epochs: 10,
        report: "none",
      });
      assert(history.loss[9] < history.loss[0], `${name}: ${history.loss}`);
    }
  },
});
