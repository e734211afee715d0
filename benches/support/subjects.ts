/** How each subject's process is started. */
import type { Peer, Subject } from "./measurements.ts";
import type { Launch } from "./process.ts";

const here = (path: string) => decodeURIComponent(new URL(path, import.meta.url).pathname);

/** Subjects that `peers/peers.py` runs. */
const PYTHON: readonly Subject[] = ["pytorch", "jax", "keras", "tf_keras", "pytorch-gpu", "jax-gpu"];

/** Peers on WebGPU. */
const WEBGPU: readonly Subject[] = ["tfjs-webgpu", "jax-js-webgpu", "onnxruntime-webgpu"];

/** Peers on the GPU. */
const GPU: readonly Subject[] = ["pytorch-gpu", "jax-gpu"];

const SCRIPTS: { readonly [subject in Subject]?: string } = {
  cellfold: here("../cellfold/main.ts"),
  "tfjs-wasm": here("../peers/tfjs.ts"),
  "jax-js": here("../peers/jax_js.ts"),
  "onnxruntime-web": here("../peers/onnxruntime_web.ts"),
  "onnxruntime-node": here("../peers/onnxruntime_node.ts"),
  "tfjs-webgpu": here("../peers/tfjs.ts"),
  "jax-js-webgpu": here("../peers/jax_js.ts"),
  "onnxruntime-webgpu": here("../peers/onnxruntime_web.ts"),
};

/** Shader compilation is part of a first call; Mesa's disk cache would hide it from the second process on. */
const NO_SHADER_CACHE = { MESA_SHADER_CACHE_DISABLE: "true" };

/** Environment variables that keep peers in Python off the GPU, or let them use it. */
const CPU_VARIABLES = { CUDA_VISIBLE_DEVICES: "", JAX_PLATFORMS: "cpu" };
const GPU_VARIABLES = { JAX_PLATFORMS: "cuda", CELLFOLD_PEER_DEVICE: "cuda" };

/** The settings of a subject's process. */
export interface LaunchOptions {
  readonly threads: number;
  /** The name of Cellfold's device. */
  readonly device?: string;
  /** The Python interpreter that has the peers written in Python installed. */
  readonly python?: string;
  /** Flags of V8 besides the one for garbage collection. */
  readonly v8Flags?: readonly string[];
  /** Whether Cellfold's process may start others and write files. */
  readonly startsProcesses?: boolean;
}

/**
 * How a subject is started.
 *
 * @throws Error for a peer in Python if no interpreter is given.
 */
export function launchOf(subject: Subject, options: LaunchOptions): Launch {
  const { threads, device, python, v8Flags = [], startsProcesses = false } = options;
  if (PYTHON.includes(subject)) {
    if (!python) throw new Error("CELLFOLD_PYTHON names no Python");
    return {
      command: python,
      args: ["-u", here("../peers/peers.py"), subject.replace("-gpu", ""), String(threads)],
      env: { ...threadVariables(threads), ...(GPU.includes(subject) ? GPU_VARIABLES : CPU_VARIABLES) },
    };
  }
  const script = SCRIPTS[subject];
  if (!script) throw new Error(`There is no script for ${subject}`);
  // Peers bring native code and files of their own; none of them are locked in the library's deno.lock.
  const permissions = subject === "cellfold"
    ? [
      ...["--allow-read", "--allow-env"],
      ...startsProcesses || device === "native" ? ["--allow-run", "--allow-write"] : [],
      ...device === "native" ? ["--allow-ffi"] : [],
    ]
    : ["--allow-all", "--no-lock"];
  const args = [
    "run",
    "--quiet",
    ...permissions,
    `--v8-flags=${["--expose-gc", ...v8Flags].join()}`,
    script,
    String(threads),
  ];
  const backend = WEBGPU.includes(subject) ? "webgpu" : device;
  return { command: Deno.execPath(), args: backend ? [...args, backend] : args, env: NO_SHADER_CACHE };
}

/** The numbers of threads that a peer may use; the better one counts. */
export function threadsOf(peer: Peer): readonly number[] {
  switch (peer) {
    case "jax-js": // its synchronous calls have one thread; with more it must be asynchronous and is slower
    case "tfjs-wasm": // outside of browsers its binary with threads is not loaded
    case "tfjs-webgpu":
    case "jax-js-webgpu":
    case "onnxruntime-webgpu":
    case "pytorch-gpu":
    case "jax-gpu":
      return [1];
    default:
      return [1, 2];
  }
}

/** Sets the thread pools of the libraries under NumPy, PyTorch and TensorFlow, which read them on import. */
function threadVariables(threads: number): { readonly [name: string]: string } {
  const names = [
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
  ];
  return {
    ...Object.fromEntries(names.map((name) => [name, String(threads)])),
    TF_CPP_MIN_LOG_LEVEL: "3",
  };
}
