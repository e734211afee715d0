/**
 * When one machine is not enough: a model that is built and trained here goes to PyTorch through safetensors, trains on
 * there under Ray Train in two worker processes, comes back, goes out as ONNX, and is served over HTTP by onnxruntime.
 * A cell of the user's own, which nothing else knows, is trained by this library in workers that Ray starts.
 *
 *     deno task outgrow [--data DIR] [--python PYTHON] [--work DIR]
 *
 * The Python packages are installed in an environment of their own, once.
 */
import { parseArgs } from "node:util";
import {
  accuracy,
  batchNormalization,
  dense,
  evaluate,
  fit,
  type HostTensor,
  init,
  key,
  lstm,
  predict,
  sequential,
  sparseCategoricalCrossentropy,
  spec,
  splitRows,
  tensor,
  toNested,
  type Variables,
} from "@cellfold/cellfold";
import { decodeSafetensors, encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { fromTorch, toTorch } from "@cellfold/cellfold/torch";
import { cacheFolder } from "../support/cache_folder.ts";
import { guideModels, usedVariables } from "../support/guide_models.ts";
import { loadMnist } from "../support/mnist_data.ts";
import { claim, largestDifference, type Log } from "../support/section.ts";
import { checkModels } from "./onnx_files.ts";
import { trainOwnCell } from "./parallel.ts";
import { firstLine, type PythonEnvironment, setUpPython } from "./setup.ts";

const HELP =
  `Trains a model here, trains it on with PyTorch and Ray, reads it back, and serves it with onnxruntime. Trains
a cell of one's own in two workers of Ray that compute gradients with this library.

Usage: deno task outgrow [options]

  --data DIR       a folder with the four IDX files of MNIST, plain or .gz
                   (default: an earlier download, a download, or digits from a generator)
  --python PYTHON  the Python to make the environment with, 3.10 or newer (default python3)
  --work DIR       where the environment and all files are kept (default: the user's cache folder)
  --help           this text`;

/** How many digits are trained on here, then there, and how many test both. */
const [HERE, THERE, TEST, FEW] = [2048, 8192, 1024, 16];
/** What the two workers need for one batch each. */
const LEAST = 64;

const digits = spec([null, 28, 28]);
const loss = sparseCategoricalCrossentropy({ fromLogits: true });

/** The names of the layers are those of the module's attributes in train.py, epsilon and momentum its defaults. */
const model = sequential([
  lstm({ units: 64, name: "rnn" }),
  batchNormalization({ epsilon: 1e-5, momentum: 0.9, name: "norm" }),
  dense({ units: 10, name: "fc" }),
]);

interface Samples {
  readonly x: HostTensor;
  readonly y: HostTensor;
}

interface Prepared {
  readonly train: Samples;
  readonly test: Samples;
  /** The first of the test digits, whose predictions are compared. */
  readonly few: HostTensor;
  /** The folder of all files. */
  readonly work: string;
  readonly python: PythonEnvironment;
}

/** Everything that can be wrong with what the user gave is found here, before anything is trained. */
async function prepare(args: readonly string[], log: Log): Promise<Prepared | undefined> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== "--"),
    options: {
      data: { type: "string" },
      python: { type: "string" },
      work: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return undefined;
  const work = values.work ?? cacheFolder("outgrow");
  if (work === undefined) {
    throw new Error("Cannot go on: there is no cache folder here; --work DIR names a folder");
  }
  await Deno.mkdir(work, { recursive: true });
  const { source, train, test } = await loadMnist({ data: values.data });
  log(`data: ${source}`);
  const count = train.labels.shape[0];
  if (count < LEAST) {
    throw new RangeError(`Cannot go on: there are ${count} digits to train with, expected at least ${LEAST}`);
  }
  const first = ({ images: x, labels: y }: typeof train, most: number): Samples =>
    splitRows({ x, y }, Math.min(most, y.shape[0]))[0];
  const tested = first(test, TEST);
  return {
    train: first(train, THERE),
    test: tested,
    few: splitRows(tested.x, Math.min(FEW, tested.x.shape[0]))[0],
    work,
    python: await setUpPython(`${work}/python`, values.python, log),
  };
}

async function testedOn(test: Samples, variables: Variables): Promise<{ loss: number; text: string }> {
  const logs = await evaluate(model, variables, test, { loss, metrics: [accuracy()] });
  const [percent, digits] = [(100 * logs.accuracy).toFixed(1), test.y.shape[0].toLocaleString("en")];
  return {
    loss: logs.loss,
    text: `loss ${logs.loss.toFixed(4)}, ${percent} % of ${digits} test digits are right`,
  };
}

/** An epoch on a few digits, as a model begins. */
async function trainHere({ train, test }: Prepared, log: Log): Promise<Variables> {
  const [samples] = splitRows(train, Math.min(HERE, train.y.shape[0]));
  log(`\ntraining here, on ${samples.y.shape[0].toLocaleString("en")} digits`);
  const fresh = init(model, key(0), digits);
  const { variables } = await fit(model, fresh, samples, { loss, optimizer: "adam", report: "none" });
  log(`  ${(await testedOn(test, variables)).text}`);
  return variables;
}

/** What train.py reports. */
interface TrainingReport {
  /** Predictions for the few digits, as the weights arrived and as they left. */
  readonly before: number[][];
  readonly after: number[][];
  readonly workers: readonly { rank: number; pid: number; digits: number; loss: number; weights: number }[];
}

/** To PyTorch, an epoch there, and back. */
async function trainThere(prepared: Prepared, variables: Variables, log: Log): Promise<Variables> {
  const { train, test, few, work, python } = prepared;
  const file = (name: string) => `${work}/${name}`;
  const [weights, data] = [file("here.safetensors"), file("digits.safetensors")];
  const [trained, report] = [file("there.safetensors"), file("report.json")];
  await Deno.writeFile(weights, encodeSafetensors(toTorch(model, variables), { metadata: { format: "pt" } }));
  await Deno.writeFile(data, encodeSafetensors({ ...train, few }));
  log(`\ntraining on in PyTorch, under Ray Train, from ${weights}`);
  await python.run("train.py", weights, data, trained, report);

  const { before, after, workers }: TrainingReport = JSON.parse(await Deno.readTextFile(report));
  for (const { rank, pid, digits, loss } of workers) {
    log(`  worker ${rank}, process ${pid}: ${digits.toLocaleString("en")} digits, loss ${loss.toFixed(4)}`);
  }
  const distinct = new Set(workers.map(({ pid }) => pid)).size;
  claim(log, workers.length === 2 && distinct === 2, "two worker processes have trained");
  claim(log, workers[0].weights === workers[1].weights, "they end with the same weights");

  const { tensors } = decodeSafetensors(await Deno.readFile(trained));
  const returned = fromTorch(model, variables, tensors);
  const differs = async (ours: Variables, theirs: number[][]) =>
    largestDifference(await predict(model, ours, few), tensor(theirs));
  claim(log, await differs(variables, before) < 1e-5, "PyTorch predicted what we did when it began, to 1e-5");
  claim(log, await differs(returned, after) < 1e-5, "read back, we predict what PyTorch does, to 1e-5");
  const [was, is] = [await testedOn(test, variables), await testedOn(test, returned)];
  log(`  ${is.text}`);
  claim(log, is.loss < was.loss, `the loss has fallen from ${was.loss.toFixed(4)} to ${is.loss.toFixed(4)}`);
  return returned;
}

/** Starts the server, asks it for one digit, and stops it. */
async function serve(
  { test, few, python }: Prepared,
  file: string,
  variables: Variables,
  log: Log,
): Promise<void> {
  log(`\nserving ${file} with onnxruntime`);
  const server = python.start("serve.py", file);
  try {
    const address = await firstLine(server.stdout);
    if (address === undefined) throw new Error("Cannot go on: the server has stopped");
    log(`  it listens at ${address}`);
    const [digit] = splitRows(few, 1);
    const response = await fetch(address, {
      method: "POST",
      body: JSON.stringify({ input: toNested(digit) }),
    });
    if (!response.ok) throw new Error(`The server answers ${response.status}: ${await response.text()}`);
    const { output }: { output: number[][] } = await response.json();
    const answer = output[0].indexOf(Math.max(...output[0]));
    log(`  posted a digit ${test.y.data[0]}; it says: ${answer}`);
    const ours = await predict(model, variables, digit);
    claim(log, largestDifference(ours, tensor(output)) < 1e-5, "it answers what we predict, to 1e-5");
  } finally {
    try {
      server.kill();
    } catch {
      // it has ended by itself
    }
    await server.status;
  }
  log("  stopped");
}

/** The trained model, and every model of the guide. */
async function checkOnnx({ few, work, python }: Prepared, variables: Variables, log: Log): Promise<string> {
  log("\nas ONNX, in its checker and in onnxruntime");
  const trained = { name: "the trained model", layer: model, variables, input: digits, data: few };
  const guide = guideModels.map((of) => ({ ...of, variables: usedVariables(of.layer, of.input) }));
  const [file] = await checkModels([trained, ...guide], `${work}/onnx`, python, log);
  return file;
}

/** Runs the example. */
async function main(prepared: Prepared, log: Log): Promise<void> {
  const begun = await trainHere(prepared, log);
  const variables = await trainThere(prepared, begun, log);
  await trainOwnCell(prepared.train, { ...prepared, digits: `${prepared.work}/digits.safetensors` }, log);
  const file = await checkOnnx(prepared, variables, log);
  await serve(prepared, file, variables, log);
}

if (import.meta.main) {
  const prepared = await prepare(Deno.args, console.log).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  });
  if (prepared) await main(prepared, console.log);
  else console.log(HELP);
}
