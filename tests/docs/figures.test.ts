/** The figures of the README and of the site's page on performance are those of the table in docs/performance.md. */
import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);

const mayRead = Deno.permissions.querySync({ name: "read", path: ROOT.pathname }).state === "granted";

/** Peers as the pages name them, and as the benchmark does. */
const PEERS: Readonly<Record<string, string>> = {
  "PyTorch": "pytorch",
  "JAX": "jax",
  "Keras": "keras",
  "Keras 2 (tf_keras)": "tf_keras",
  "jax-js": "jax-js",
  "TensorFlow.js": "tfjs-wasm",
  "onnxruntime-node": "onnxruntime-node",
  "onnxruntime-web": "onnxruntime-web",
};
const NAMES = Object.keys(PEERS).sort((a, b) => b.length - a.length).map((name) =>
  name.replaceAll(/[().]/g, "\\$&")
).join("|");

/** The workloads of the tables, row by row. */
const ON_SITE = [
  "guide/train",
  "guide/predict",
  "guide/predict-one",
  "long/train",
  "gru/train",
  "simple/train",
  "nested/train",
  "own-lstm/train",
  "cliff/mask-holes",
  "cliff/recurrent-dropout",
  "cliff/layer-norm",
  "compile",
];
const IN_README = ["guide/train", "long/train", "gru/train", "own-lstm/train", "guide/predict", "compile"];

/** Microseconds. */
const UNITS: Readonly<Record<string, number>> = { "µs": 1, "ms": 1000 };

const timeOf = (text: string) => {
  const [, value, unit] = /([\d.]+) (µs|ms)/.exec(text) ?? [];
  assert(unit, `${text} is a time`);
  return Number(value) * UNITS[unit];
};

/** The cells of a table's rows, of the first table after a line. */
function rowsAfter(text: string, line: RegExp): string[][] {
  const lines = text.slice(text.search(line)).split("\n");
  const first = lines.findIndex((line) => /^\|[ -]+\|/.test(line)) + 1;
  const count = lines.slice(first).findIndex((line) => !line.startsWith("|"));
  return lines.slice(first, first + count).map((row) =>
    row.split("|").slice(1, -1).map((cell) => cell.trim())
  );
}

/** Whether a number is another one, to as many digits as it is written with. */
function isRounded(written: string, value: number): boolean {
  const digits = written.split(".")[1]?.length ?? 0;
  return Math.abs(Number(written) - value) <= 0.5000001 * 10 ** -digits;
}

interface Measured {
  readonly own: number;
  /** By the benchmark's name. */
  readonly peers: ReadonlyMap<string, number>;
}

/** The rows of the table of a device in docs/performance.md. */
async function tableOf(device: "wasm" | "native"): Promise<string[][]> {
  const page = await Deno.readTextFile(new URL("docs/performance.md", ROOT));
  return rowsAfter(page, new RegExp(`^<!-- bench ${device} -->`, "m"));
}

async function measured(): Promise<ReadonlyMap<string, Measured>> {
  return new Map((await tableOf("wasm")).map(([workload, own, peers]) => [workload.replaceAll("`", ""), {
    own: timeOf(own),
    peers: new Map(peers.split("<br>").filter(Boolean).map((peer) => [peer.split(" ")[0], timeOf(peer)])),
  }]));
}

for (
  const [path, title] of [["guide/performance.md", /^## Figures/m], [
    "es/guide/performance.md",
    /^## Cifras/m,
  ]] as const
) {
  Deno.test({
    name: `the figures of site/${path} are those of docs/performance.md`,
    ignore: !mayRead,
    async fn() {
      const page = (await Deno.readTextFile(new URL(`site/${path}`, ROOT))).replaceAll(/(\d),(\d)/g, "$1.$2");
      const all = await measured();
      const rows = rowsAfter(page, title);
      assertEquals(rows.length, ON_SITE.length);
      rows.forEach(([name, own, others], row) => {
        const { own: time, peers } = all.get(ON_SITE[row])!; // a workload of the table
        assertEquals([name, timeOf(own)], [name, time]);
        const unit = UNITS[own.split(" ")[1]];
        for (const [, peer, value] of others.matchAll(new RegExp(`(${NAMES}) ([\\d.]+)`, "g"))) {
          const there = peers.get(PEERS[peer]);
          assert(
            there !== undefined && Math.abs(Number(value) * unit - there) <= 1e-6 * there,
            `${name}: ${peer} ${value}, but ${there} µs`,
          );
        }
      });
      const [, builtIn] = /: ([\d.]+)$/.exec(rows[ON_SITE.indexOf("own-lstm/train")][2]) ?? [];
      assertEquals(Number(builtIn) * 1000, all.get("guide/train")?.own);
    },
  });
}

Deno.test({
  name: "the figures of the README are those of docs/performance.md",
  ignore: !mayRead,
  async fn() {
    const readme = await Deno.readTextFile(new URL("README.md", ROOT));
    const all = await measured();
    const rows = rowsAfter(readme, /^## Speed and size/m);
    assertEquals(rows.length, IN_README.length);
    const compared = rows.map(([name, own, comparison], row) => {
      const { own: time, peers } = all.get(IN_README[row])!; // a workload of the table
      const [value, unit] = own.split(" ");
      assert(isRounded(value, time / UNITS[unit]), `${name}: ${own}, but ${time} µs`);
      // "38 × faster than TensorFlow.js, 11 × jax-js", or "JAX 1.15 × faster, Keras 1.2 ×": each name has a number.
      return comparison.split(",").filter((part) => {
        const [peer] = new RegExp(NAMES).exec(part) ?? [];
        const [, ratio] = /([\d.]+) ×/.exec(part) ?? [];
        if (peer === undefined || ratio === undefined) return false;
        const other = peers.get(PEERS[peer]) ?? NaN;
        const actual = part.trimStart().startsWith(peer) ? time / other : other / time;
        assert(isRounded(ratio, actual), `${name}:${part}, but ${actual.toFixed(3)}`);
        return true;
      }).length;
    });
    assertEquals(compared, [3, 3, 1, 0, 1, 0]);
    // "0.46 × PyTorch", as the table of native has it.
    const targets = new Map((await tableOf("native")).map(([workload, , , targets]) => [workload, targets]));
    const ofNative = rows.map(([name, , , native], row) => {
      const [, ratio, peer] = /([\d.]+) × (PyTorch|onnxruntime)/.exec(native) ?? [];
      if (peer === undefined) return false;
      const known = peer === "onnxruntime" ? "onnxruntime-node" : PEERS[peer];
      const [, actual] =
        new RegExp(`([\\d.]+) × ${known}`).exec(targets.get(`\`${IN_README[row]}\``) ?? "") ?? [];
      assertEquals([name, ratio], [name, actual]);
      return true;
    });
    assertEquals(ofNative, [true, true, true, false, true, false]);
  },
});
