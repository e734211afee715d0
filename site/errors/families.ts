/**
 * The errors by what one was doing: each family has a section on the page on troubleshooting, with causes and remedies
 * written by hand and the messages from the sources, put in by the mark `<!-- messages: ID -->`.
 */
import { collectMessages, type Message } from "./messages.ts";

/** Errors with common causes: those made in these files, with these words, or both. */
export interface Family {
  readonly id: string;
  readonly files?: RegExp;
  readonly text?: RegExp;
}

/** What nobody can cause from outside: if it is seen, the library has a fault. */
const INTERNAL = [
  "A (Program|fused kernel|product|view|value that|module without|module of its own|constant of open|place has) ",
  "A … value of|An addend|Only (inputs|constants|weights|an executable)|Import functions|The derivative of a scan",
  "There is no WGSL|The description of ONNX|… is not traced|The device … has no memory",
  "Cannot (free address|create a pool|load a module|run a kernel|write float64 in C|write … of bools)",
  "Cannot (write a Program in C|…: a (buffer without|weight that)|apply … to all steps|run a Program that reads)",
  "Cannot (build a tree of|run with … (inputs|as input)|plan a value|begin a loop|…: h5wasm does not)",
  "Cannot compute with float64 on webgpu",
];

/** All families; a message belongs to the first that takes it. */
export const families: readonly Family[] = [
  { id: "onnx", text: /cut data into batches along the first axis/ },
  { id: "internal", text: new RegExp(`^(${INTERNAL.join("|")})`) },
  {
    id: "out-of-memory",
    text: /Cannot allocate memory|more than 4 GiB|gives no memory|has no memory for it/,
  },
  {
    id: "device-lost",
    text: /was lost|A kernel failed|Thread … of|after a failure|pool is disposed|^The device … failed/,
  },
  { id: "native", files: /^kernels\/native\/(?!standalone)/ },
  { id: "traced", files: /^src\/(program\/(trace|functions)|transforms\/(compile|runner))\.ts/ },
  { id: "traced", text: /being traced/ },
  {
    id: "where-tensors-lie",
    text: /on the device …; (use|compile|read)|toHost\(|was donated|disposed|other device|device …$/,
  },
  { id: "open-sizes", files: /^src\/(tensor\/dims|program\/(bindings|ranges))\.ts/ },
  { id: "choosing-a-device", files: /^kernels\/(?!\w+\/standalone|standalone)/ },
  { id: "tensors", files: /^src\/tensor\// },
  { id: "trees", files: /^src\/tree\// },
  {
    id: "names-and-options",
    files:
      /^src\/(describe|known_names|option_names|options\/(checks|constraints|initializers|per_axis|regularizers))\.ts/,
  },
  { id: "names-and-options", text: /as an activation/ },
  { id: "copies", files: /^src\/(options\/|layers\/define|cells\/json)/ },
  { id: "scan", files: /^src\/scan|^src\/operations\/scan/ },
  { id: "derivatives", files: /^src\/transforms\/grad\.ts/ },
  { id: "operations", files: /^src\/(operations|program)\// },
  { id: "traced", files: /^src\/transforms\// },
  { id: "generation", files: /^src\/layers\/generation\// },
  { id: "streams", text: /in chunks/ },
  { id: "streams", files: /^src\/layers\/(open_stream|stream|slots|step_arrays|chunk|stateful)/ },
  { id: "stateful", files: /^src\//, text: /stateful|carry/ },
  { id: "variables", files: /^src\/models\/container/, text: /its … is/ },
  { id: "variables", files: /^src\/(layers\/checks|models\/(init|weights)|cells\/define)\.ts/ },
  { id: "layers", files: /^src\/(cells|layers)\// },
  { id: "models", files: /^src\/models\/(?!json|revive|saved)/ },
  { id: "json", files: /^src\/models\// },
  { id: "making-batches", files: /^src\/data\/(batches|buckets|padding|windows|stack|gzip|idx)/ },
  { id: "safetensors", files: /^(src\/data\/safetensors|formats\/safetensors)\// },
  { id: "iterables", files: /^src\/(data\/items|training\/(feed|fit_feeds|ready|rows))/ },
  { id: "iterables", text: /^Cannot use …: …$/ },
  { id: "training-stopped", text: /^Cannot go on training/ },
  { id: "labels", files: /^src\/training\/(labels|alignment|class_weight)/ },
  {
    id: "callbacks",
    files: /^src\/(data\/(files|lock)|training\/(callback|checkpoint|csv_log|monitor|resume|saved_run))/,
  },
  { id: "optimizers", files: /^src\/training\/(optimizer|schedules|learning_rates|gradients)/ },
  {
    id: "losses",
    files:
      /^src\/training\/(objective|metrics|steps?|per_output|compute_loss|resolve_metric|losses|running)\b/,
  },
  { id: "training-data", files: /^src\/training\// },
  { id: "command", files: /^formats\/export\// },
  { id: "create", files: /^formats\/create\// },
  { id: "writing-keras", files: /^formats\/(keras|tfjs)\//, text: /^Cannot (write|use)|Keras has no/ },
  { id: "keras", files: /^formats\/(keras|tfjs)\// },
  { id: "writing-onnx", files: /^formats\/onnx\/export\// },
  { id: "onnx", files: /^formats\/onnx\// },
  { id: "torch-files", files: /^formats\/torch\/files\// },
  { id: "torch", files: /^formats\/torch\// },
  { id: "archives", files: /^formats\/support\/archive\.ts$/ },
  { id: "standalone", files: /^(formats|kernels|kernels\/native|kernels\/wasm)\/standalone\// },
  { id: "pictures", files: /^formats\/display\// },
];

/** The family of a message; undefined for one that none takes. */
export function familyOf({ file, text }: Message): string | undefined {
  return families.find((family) => (family.files?.test(file) ?? true) && (family.text?.test(text) ?? true))
    ?.id;
}

/** The texts of all messages by their family, each once. */
export function messagesByFamily(messages = collectMessages()): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  for (const message of messages) {
    const id = familyOf(message);
    if (id === undefined) {
      const { file, line, text } = message;
      throw new RangeError(
        `Cannot place an error on the page: ${file}:${line} has ${
          JSON.stringify(text)
        }, expected a family in ` +
          `site/errors/families.ts that takes it`,
      );
    }
    found.set(id, (found.get(id) ?? new Set()).add(message.text));
  }
  return new Map([...found].map(([id, texts]) => [id, [...texts].sort()]));
}
