/** Pictures, what notebooks are given, and the report that updates one cell. */
import { inspect } from "node:util";
import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { parseHTML } from "linkedom";
import {
  dense,
  fit,
  init,
  key,
  meanSquaredError,
  sequential,
  sgd,
  spec,
  summary,
  tensor,
  zeros,
} from "@cellfold/cellfold";
import {
  cellReport,
  type MimeBundle,
  plotCurves,
  plotForecast,
  plotHistory,
  plotStates,
  show,
} from "@cellfold/cellfold/display";

/** The parts of a picture that the tests read. */
interface Element {
  querySelectorAll(
    selector: string,
  ): Iterable<{ readonly textContent: string; getAttribute(name: string): string }>;
}

/** A picture as a document, with balanced elements and no number that is none. */
function parsed(svg: string): Element {
  assertMatch(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^]*<\/svg>\n$/);
  assert(!/NaN|Infinity|undefined/.test(svg), svg);
  const count = (text: RegExp) => [...svg.matchAll(text)].length;
  assertEquals(count(/<[a-z]/g) - count(/\/>/g), count(/<\//g));
  return (parseHTML(`<html><body>${svg}</body></html>`) as unknown as { readonly document: Element })
    .document;
}

function texts(picture: Element): string[] {
  return [...picture.querySelectorAll("text")].map(({ textContent }) => textContent);
}

/** The points of each line, from its path. */
function lines(picture: Element): number[][][] {
  return [...picture.querySelectorAll('[aria-label="line"] path')].map((path) =>
    path.getAttribute("d").split(/[ML]/).filter(Boolean).map((point) => point.split(",").map(Number))
  );
}

/** The picture that an image in HTML has. */
function pictureIn(html = ""): string {
  return decodeURIComponent(/<img alt="[^"]+" src="data:image\/svg\+xml,([^"]*)">/.exec(html)?.[1] ?? "");
}

const bundleOf = (shown: object): Promise<MimeBundle> =>
  (shown as { readonly [DISPLAY]: () => Promise<MimeBundle> })[DISPLAY]();
const DISPLAY = Symbol.for("Jupyter.display");

Deno.test("plotHistory draws a chart with axes for each metric, with its validation", () => {
  const picture = parsed(
    plotHistory({ loss: [0.9, 0.5, 0.2], val_loss: [1, 0.6, 0.4], accuracy: [0.1, 0.5, 0.8] }),
  );
  assertEquals(lines(picture).map((line) => line.length), [3, 3, 3]);
  const [[first, , last]] = lines(picture);
  assert(first[0] < last[0] && first[1] < last[1], "a falling loss falls on the page");
  for (const text of ["loss", "accuracy", "epoch", "training", "validation", "1", "2", "3"]) {
    assert(texts(picture).includes(text), text);
  }
});

Deno.test("plotCurves leaves gaps, marks single values and escapes names", () => {
  const labels = { title: "a < b & c", xLabel: "x", yLabel: "y" };
  const picture = parsed(plotCurves([{ name: "<one>", values: [3, 2, NaN, 1, Infinity, 0.2] }], labels));
  assertEquals([...picture.querySelectorAll("circle")].length, 2);
  assert(texts(picture).includes("a < b & c") && texts(picture).includes("<one>"));
  for (const values of [[0], [3, 3], [-1e-9, 1e-9], [1e12, 2e12]]) {
    parsed(plotCurves([{ name: "loss", values }], labels));
  }
  assertThrows(() => plotCurves([{ name: "loss", values: [NaN] }], labels), RangeError, "no finite value");
});

Deno.test("plotCurves begins another row of names where one is full, and keeps lines apart by color and dashes", () => {
  const series = Array.from(
    { length: 6 },
    (_, index) => ({ name: `a fairly long name ${index}`, values: [index, 1] }),
  );
  const picture = parsed(plotCurves(series, { title: "t", xLabel: "x", yLabel: "y" }));
  const strokes = [...picture.querySelectorAll('g[aria-label="line"]')].map((line) =>
    `${line.getAttribute("stroke")} ${line.getAttribute("stroke-dasharray")}`
  );
  assertEquals(new Set(strokes).size, 6);
  const heights = [...picture.querySelectorAll('g[aria-label="text"]')].map((text) =>
    text.getAttribute("transform").split(",")[1]
  );
  assertEquals(new Set(heights).size, 2);
});

Deno.test("plotStates has a cell for each unit and step, and means of large ones", () => {
  const cells = (picture: Element) => [...picture.querySelectorAll("rect")].length - 48; // of the scale
  assertEquals(
    cells(parsed(plotStates(tensor([[1, -1, 0], [0.5, 0, NaN]].map((row) => row.map((x) => x || 0)))))),
    6,
  );
  assertEquals(cells(parsed(plotStates(zeros([2, 300, 4])))), 96 * 4);
  // Without it, a dark page shows through between the cells.
  assertEquals(
    plotStates(zeros([2, 2])).match(/<g shape-rendering="crispEdges" aria-label="rect">/g)?.length,
    2,
  );
  assertThrows(() => plotStates(zeros([3])), TypeError, "expected [time, units]");
});

Deno.test("plotForecast puts predictions after what was measured, or beside it", () => {
  const [measured, predicted] = lines(parsed(plotForecast({ actual: [1, 2, 3], predicted: tensor([4, 5]) })));
  assertEquals([measured.length, predicted.length], [3, 2]);
  assert(predicted[0][0] > measured[2][0]);
  const [, beside] = lines(parsed(plotForecast({ actual: [1, 2, 3], predicted: [2, 3], start: 1 })));
  assert(beside[0][0] < measured[2][0] + 1000);
  assertThrows(() => plotForecast({ actual: [1], predicted: [1], start: -1 }), RangeError, "start is -1");
});

Deno.test("show gives tables of small matrices, heat maps of large ones, and text everywhere", async () => {
  const small = show(tensor([[1, 2], [3, 4]]));
  assertEquals(
    [String(small), Deno.inspect(small), inspect(small)],
    Array(3).fill("float32[2, 2] [[1, 2], [3, 4]]"),
  );
  assertStringIncludes(
    (await bundleOf(small))["text/html"] ?? "",
    '<th scope="row">1</th><td>3</td><td>4</td>',
  );
  parsed((await bundleOf(show(zeros([40, 20]))))["image/svg+xml"] ?? "");
  const program = { inputs: [], equations: [], outputs: [] };
  for (const value of [tensor(3), summary(dense({ units: 1 }), spec([null, 2])), program] as const) {
    const bundle = await bundleOf(show(value));
    assertEquals(bundle["text/plain"], String(show(value)));
    assertMatch(bundle["text/html"] ?? "", /^<pre style="[^"]+">[^<]+<\/pre>$/);
  }
  const long = Array.from({ length: 100 }, (_, line) => `line ${line} <`).join("\n");
  const { "text/html": html = "", "text/plain": plain } = await bundleOf(show(long));
  assertEquals(plain, long);
  assertStringIncludes(html, "line 23 &lt;</pre><details><summary>76 more lines</summary><pre style=");
  assertEquals(html.match(/line \d+ &lt;/g)?.length, 100);
  assertThrows(() => show(3 as never), TypeError, "Cannot show");
});

Deno.test("show gives a picture as it is, and its title as text", async () => {
  const svg = plotStates(zeros([2, 3]), { title: "a & b" });
  const shown = show(svg);
  assertEquals(String(shown), "[picture: a & b]");
  assertEquals(await bundleOf(shown), { "text/plain": "[picture: a & b]", "image/svg+xml": svg });
  assertEquals(String(show("<svg ></svg>")), "[picture]");
});

Deno.test("show gives models as lines, variables and histories as tables", async () => {
  const model = sequential([dense({ units: 2 })]);
  assertStringIncludes(String(show(model)), 'dense  dense({ units: 2, activation: "linear" })');
  const variables = show(init(model, key(0), spec([null, 3])));
  assertStringIncludes(String(variables), "2 tensors, 8 numbers");
  assertStringIncludes((await bundleOf(variables))["text/html"] ?? "", "<td>float32[3, 2]</td>");
  const history = show({ loss: [0.5, 0.25], val_loss: [1, 2] });
  assertEquals(String(history), "epoch  loss  val_loss\n    1   0.5         1\n    2  0.25         2");
  const { "text/html": html, "image/svg+xml": svg } = await bundleOf(history);
  parsed(svg ?? "");
  assertEquals(pictureIn(html), svg); // most notebooks show this form alone
  assertStringIncludes(html ?? "", "<td>0.25</td>");
  const never = await bundleOf(show({ loss: [NaN] }));
  assertEquals([never["image/svg+xml"], /<img/.test(never["text/html"] ?? "")], [undefined, false]);
});

Deno.test("cellReport shows one cell and updates it, and does without a notebook", async () => {
  const sent: {
    readonly type: string;
    readonly content: { readonly data: MimeBundle; readonly transient: object };
  }[] = [];
  const train = () =>
    fit(dense({ units: 1 }), init(dense({ units: 1 }), key(0), spec([null, 1])), {
      x: zeros([4, 1]),
      y: zeros([4, 1]),
    }, {
      loss: meanSquaredError(),
      optimizer: sgd({ learningRate: 0.1 }),
      epochs: 2,
      batchSize: 2,
      report: cellReport({ interval: 0 }),
    });
  const runtime = globalThis.Deno;
  const broadcast = async (type: string, content: typeof sent[number]["content"]) => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    sent.push({ type, content });
  };
  Object.defineProperty(globalThis, "Deno", {
    configurable: true,
    writable: true,
    value: Object.create(runtime, { jupyter: { value: { broadcast } } }),
  });
  try {
    await train(); // until the last message is out
  } finally {
    globalThis.Deno = runtime;
  }
  assert(sent.length >= 4, `${sent.length} messages`);
  assertEquals([...new Set(sent.slice(1).map(({ type }) => type))], ["update_display_data"]);
  assertEquals(sent[0].type, "display_data");
  assertEquals(new Set(sent.map(({ content }) => JSON.stringify(content.transient))).size, 1);
  const last = sent[sent.length - 1].content.data;
  assertStringIncludes(last["text/plain"], "epoch 2/2  loss: ");
  parsed(pictureIn(last["text/html"]));
  assertThrows(() => cellReport({ interval: -1 }), RangeError, "interval is -1");
});
