/** ONNX files in onnxruntime: its wasm build in this process, and Python's together with ONNX's checker. */
import { importPeer } from "../../../../benches/peers/versions.ts";
import type { HostTensor } from "../../../../src/tensor/tensor.ts";

/** Tensors by the names of a graph. */
export type Named = Readonly<Record<string, HostTensor>>;

interface OrtTensor {
  readonly type: string;
  readonly data: ArrayLike<number | bigint>;
  readonly dims: readonly number[];
}

/** The part of `onnxruntime-web` that is used. */
interface Runtime {
  readonly env: { readonly wasm: { numThreads?: number }; logLevel?: string };
  readonly InferenceSession: {
    create(model: Uint8Array, options: { readonly executionProviders: readonly string[] }): Promise<{
      run(feeds: Record<string, OrtTensor>): Promise<Record<string, OrtTensor>>;
      release(): Promise<void>;
    }>;
  };
  readonly Tensor: new (type: string, data: ArrayBufferView, dims: readonly number[]) => OrtTensor;
}

/** Whether onnxruntime-web cannot be loaded here; tests that need it are then ignored. */
export const webMissing: boolean = (["read", "env"] as const).some((name) =>
  Deno.permissions.querySync({ name }).state !== "granted"
);

/** What a test's name says where it is ignored. */
export const webNeeds: string = webMissing ? " (needs --allow-read --allow-env)" : "";

const ortTypes = { float32: "float32", float64: "float64", int32: "int32", bool: "bool" } as const;

/** What onnxruntime-web (wasm, one thread) computes, each output as plain numbers. */
export async function runOnWeb(
  bytes: Uint8Array,
  inputs: Named,
): Promise<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>> {
  const runtime = await importPeer<Runtime>("onnxruntime-web");
  runtime.env.wasm.numThreads = 1;
  const session = await runtime.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  try {
    const feeds = Object.fromEntries(
      Object.entries(inputs).map((
        [name, { dtype, data, shape }],
      ) => [name, new runtime.Tensor(ortTypes[dtype], data, shape)]),
    );
    const results = await session.run(feeds);
    return Object.fromEntries(
      Object.entries(results).map((
        [name, { data, dims }],
      ) => [name, { shape: dims, data: Array.from(data, Number) }]),
    );
  } finally {
    await session.release();
  }
}

/** The Python of `CELLFOLD_PYTHON`; undefined where there is none, or no permission to run it. */
export const python: string | undefined = (() => {
  const may = (["env", "run", "read", "write"] as const).every((name) =>
    Deno.permissions.querySync({ name }).state === "granted"
  );
  return may ? Deno.env.get("CELLFOLD_PYTHON") : undefined;
})();

const script = `
import base64, json, sys
import numpy as np, onnx, onnxruntime as ort
onnx_types = {"float32": np.float32, "float64": np.float64, "int32": np.int32, "bool": np.bool_}
results = []
for case in json.load(sys.stdin):
    model = base64.b64decode(case["model"])
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    feeds = {n: np.array(t["data"], onnx_types[t["dtype"]]).reshape(t["shape"]) for n, t in case["inputs"].items()}
    names = [o.name for o in session.get_outputs()]
    outputs = session.run(names, feeds)
    results.append({n: {"shape": list(o.shape), "data": o.astype(np.float64).ravel().tolist()} for n, o in zip(names, outputs)})
json.dump(results, sys.stdout)
`;

/** What Python's onnxruntime computes, after the checker has accepted the file. */
export async function runInPython(
  cases: readonly { readonly bytes: Uint8Array; readonly inputs: Named }[],
): Promise<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>[]> {
  if (python === undefined) throw new Error("CELLFOLD_PYTHON is not set");
  const child = new Deno.Command(python, {
    args: ["-c", script],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const given = cases.map(({ bytes, inputs }) => ({
    model: bytes.toBase64(),
    inputs: Object.fromEntries(
      Object.entries(inputs).map((
        [name, { shape, dtype, data }],
      ) => [name, { shape, dtype, data: Array.from(data) }]),
    ),
  }));
  await writer.write(new TextEncoder().encode(JSON.stringify(given)));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}
