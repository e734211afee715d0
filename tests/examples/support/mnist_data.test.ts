import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Checksums, loadMnist, type MnistOptions } from "../../../examples/support/mnist_data.ts";

const allowsNet = Deno.permissions.querySync({ name: "net", host: "127.0.0.1" }).state === "granted";
const allowsFiles = (["read", "write"] as const)
  .every((name) => Deno.permissions.querySync({ name }).state === "granted");

/** Four small files as a mirror has them: 3 digits to train with, 2 to test. */
async function smallMnist(): Promise<
  { gzipped: Map<string, Uint8Array<ArrayBuffer>>; checksums: Checksums }
> {
  const idx = (shape: number[], values: number[]) =>
    new Uint8Array([0, 0, 8, shape.length, ...shape.flatMap((dim) => [0, 0, 0, dim]), ...values]);
  const files = {
    "train-images-idx3-ubyte": idx([3, 28, 28], Array(3 * 784).fill(255)),
    "train-labels-idx1-ubyte": idx([3], [7, 0, 9]),
    "t10k-images-idx3-ubyte": idx([2, 28, 28], Array(2 * 784).fill(51)),
    "t10k-labels-idx1-ubyte": idx([2], [1, 2]),
  };
  const gzipped = new Map<string, Uint8Array<ArrayBuffer>>();
  const checksums: Record<string, string> = {};
  for (const [name, bytes] of Object.entries(files)) {
    const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
    gzipped.set(`${name}.gz`, new Uint8Array(await new Response(stream).arrayBuffer()));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    checksums[name] = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join(
      "",
    );
  }
  return { gzipped, checksums: checksums as Checksums }; // the four names of `files`
}

interface Bench {
  readonly mirror: string;
  readonly cache: string;
  readonly gzipped: Map<string, Uint8Array<ArrayBuffer>>;
  readonly requests: string[];
  readonly lines: string[];
  readonly options: MnistOptions;
}

type Answer = (name: string, body: Uint8Array<ArrayBuffer> | undefined) => Response | Promise<Response>;

const honest: Answer = (_, body) => body ? new Response(body) : new Response("none", { status: 404 });

/** Runs `use` against a mirror on this machine and an empty cache folder. */
async function withMirror(use: (bench: Bench) => Promise<void>, answer: Answer = honest): Promise<void> {
  const { gzipped, checksums } = await smallMnist();
  const requests: string[] = [];
  const lines: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const name = new URL(request.url).pathname.slice(1);
    requests.push(name);
    return answer(name, gzipped.get(name));
  });
  const folder = await Deno.makeTempDir();
  const cache = `${folder}/cellfold/mnist`;
  const mirror = `http://127.0.0.1:${server.addr.port}/`;
  const options = {
    mirrors: [mirror],
    checksums,
    cache,
    generated: { train: 4, test: 2 },
    log: (line: string) => void lines.push(line),
  };
  try {
    await use({ mirror, cache, gzipped, requests, lines, options });
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

async function cached(cache: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(cache)) names.push(entry.name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

function online(name: string, run: () => Promise<void>): void {
  Deno.test({ name, ignore: !allowsNet || !allowsFiles, fn: run });
}

online(
  "loadMnist downloads once, checks, and reads its cache afterwards",
  () =>
    withMirror(async ({ mirror, cache, gzipped, requests, options }) => {
      const first = await loadMnist(options);
      assertEquals(first.source, `MNIST from ${mirror}, cached in ${cache}`);
      assertEquals(first.train.images.shape, [3, 28, 28]);
      assertEquals([first.train.images.dtype, first.train.images.data[0]], ["float32", 1]);
      assertEquals(first.test.images.data[783], Math.fround(0.2));
      assertEquals([...first.train.labels.data, ...first.test.labels.data], [7, 0, 9, 1, 2]);
      assertEquals(await cached(cache), [...gzipped.keys()].sort());

      const second = await loadMnist(options);
      assertEquals(second.source, `MNIST from the cache ${cache}`);
      assertEquals(second.train, first.train);
      assertEquals(requests.length, 4);
    }),
);

online(
  "loadMnist keeps no file with a wrong checksum",
  () =>
    withMirror(async ({ cache, options, lines }) => {
      const checksums = { ...options.checksums, "train-labels-idx1-ubyte": "0".repeat(64) } as Checksums; // all four
      const { source, train } = await loadMnist({ ...options, checksums });
      assertStringIncludes(source, "generated digits, not MNIST");
      assertStringIncludes(source, "train-labels-idx1-ubyte has a wrong checksum");
      assertEquals(train.images.shape, [4, 28, 28]);
      assertEquals(await cached(cache), ["train-images-idx3-ubyte.gz"]);
      assert(lines.some((line) => line.includes("wrong checksum")));
    }),
);

online("loadMnist keeps no file that arrived by half", () =>
  withMirror(async ({ cache, options }) => {
    const { source } = await loadMnist(options);
    assertStringIncludes(source, "generated digits, not MNIST");
    assertStringIncludes(source, "corrupt or truncated");
    assertEquals(await cached(cache), []);
  }, (_, body) => new Response(body?.slice(0, body.length / 2))));

online(
  "loadMnist keeps no file whose connection broke",
  () =>
    withMirror(async ({ cache, gzipped, options }) => {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const answer = async () => {
        using connection = await listener.accept();
        await connection.read(new Uint8Array(4096)); // the request
        const body = gzipped.get("train-images-idx3-ubyte.gz") ?? new Uint8Array();
        const head = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`;
        await connection.write(new Uint8Array([...new TextEncoder().encode(head), ...body.subarray(0, 20)]));
      };
      const answered = answer();
      const mirror = `http://127.0.0.1:${listener.addr.port}/`;
      const { source } = await loadMnist({ ...options, mirrors: [mirror] });
      await answered;
      assertStringIncludes(source, `generated digits, not MNIST (No MNIST from ${mirror}: `);
      assertEquals(await cached(cache), []);
    }),
);

online(
  "loadMnist goes on to the next mirror, with what it has",
  () =>
    withMirror(async ({ mirror, requests, options, lines }) => {
      const { source } = await loadMnist({ ...options, mirrors: [`${mirror}gone/`, mirror] });
      assertStringIncludes(source, `MNIST from ${mirror},`);
      assertEquals(requests.length, 5);
      assert(lines.some((line) => line.includes("gone/train-images-idx3-ubyte.gz answers 404")));
    }),
);

online("loadMnist gives up a silent mirror", () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  return withMirror(async ({ options }) => {
    const { source } = await loadMnist({ ...options, timeout: 100 });
    resolve(new Response());
    assertStringIncludes(source, "no answer for 0.1 seconds");
  }, () => promise);
});

online(
  "loadMnist fetches again what broke in the cache, and only that",
  () =>
    withMirror(async ({ cache, requests, lines, options }) => {
      await loadMnist(options);
      await Deno.writeTextFile(`${cache}/t10k-labels-idx1-ubyte.gz`, "scribble");
      await Deno.writeFile(`${cache}/train-labels-idx1-ubyte.gz`, new Uint8Array([0x1f, 0x8b, 8]));
      requests.length = 0;
      const { source, test } = await loadMnist(options);
      assertStringIncludes(source, "cached in");
      assertEquals([...test.labels.data], [1, 2]);
      assertEquals(requests, ["train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]);
      assert(
        lines.some((line) => line.includes("t10k-labels-idx1-ubyte") && line.includes("wrong checksum")),
      );
      assert(lines.some((line) => line.includes("train-labels-idx1-ubyte") && line.includes("corrupt")));
      assertEquals((await loadMnist(options)).source, `MNIST from the cache ${cache}`);
    }),
);

online(
  "loadMnist works where the cache cannot be written",
  () =>
    withMirror(async ({ cache, options, lines }) => {
      await Deno.writeTextFile(cache.replace("/cellfold/mnist", "/file"), "");
      const { source } = await loadMnist({
        ...options,
        cache: cache.replace("/cellfold/mnist", "/file/mnist"),
      });
      assertStringIncludes(source, "MNIST from http");
      assert(lines.some((line) => line.includes("is not cached")));
    }),
);

online(
  "loadMnist reads a folder of plain or gzipped files and looks nowhere else",
  () =>
    withMirror(async ({ cache, gzipped, requests, options }) => {
      const data = cache.replace("/cellfold/mnist", "/mine");
      await Deno.mkdir(data);
      for (const [name, bytes] of gzipped) await Deno.writeFile(`${data}/${name}`, bytes);
      const labels = new Uint8Array([0, 0, 8, 1, 0, 0, 0, 2, 1, 2]);
      await Deno.remove(`${data}/t10k-labels-idx1-ubyte.gz`);
      await assertRejects(
        () => loadMnist({ ...options, data }),
        Error,
        `Cannot read MNIST from ${data}: it holds neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte.gz`,
      );
      await Deno.writeFile(`${data}/t10k-labels-idx1-ubyte`, labels);
      assertEquals((await loadMnist({ ...options, data })).source, `MNIST from ${data}`);

      labels[8] = 3;
      await Deno.writeFile(`${data}/t10k-labels-idx1-ubyte`, labels);
      const other = await loadMnist({ ...options, data });
      assertStringIncludes(other.source, "IDX files from");
      assertEquals(other.test.labels.data[0], 3);

      labels[8] = 10;
      await Deno.writeFile(`${data}/t10k-labels-idx1-ubyte`, labels);
      await assertRejects(() => loadMnist({ ...options, data }), RangeError, "label 0 is 10");
      await Deno.writeFile(`${data}/t10k-labels-idx1-ubyte`, labels.subarray(0, 9));
      await assertRejects(
        () => loadMnist({ ...options, data }),
        Error,
        "t10k-labels-idx1-ubyte: Cannot parse IDX",
      );
      assertEquals(requests, []);
    }),
);

Deno.test({
  name: "loadMnist draws digits where nothing is permitted, and says why",
  permissions: "none",
  async fn() {
    const lines: string[] = [];
    const { source, test } = await loadMnist({
      generated: { train: 3, test: 2 },
      log: (line) => void lines.push(line),
    });
    assertStringIncludes(source, "generated digits, not MNIST");
    assertStringIncludes(source, "--allow-env");
    assertStringIncludes(source, "--allow-net");
    assertEquals(test.images.shape, [2, 28, 28]);
    assertEquals(lines.length, 3); // the cache and two mirrors
  },
});
