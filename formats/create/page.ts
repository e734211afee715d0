/** The page of a project for Vite as text: it trains in a worker, and shows what the model says of some waves. */

/** The page. */
export const index = (name: string): string =>
  `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${name}</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/src/style.css" />
    <script type="module" src="/src/main.ts"></script>
  </head>
  <body>
    <main>
      <h1>${name}</h1>
      <p>A recurrent network learns to tell waves apart, in this page: it takes seconds.</p>
      <button id="train">Train</button>
      <pre id="progress" aria-live="polite"></pre>
      <div id="examples"></div>
    </main>
  </body>
</html>
`;

/** Its style. */
export const style = `:root {
  color-scheme: light dark;
  font-family: system-ui, sans-serif;
}

main {
  max-width: 46rem;
  margin: 2rem auto;
  padding: 0 1rem;
}

button {
  font: inherit;
  padding: 0.5rem 1.25rem;
}

pre {
  min-height: 1.5em;
  max-height: 12rem;
  overflow: auto;
}

#examples {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr));
  gap: 1rem;
}

figure {
  margin: 0;
  padding: 0.75rem;
  border: 1px solid color-mix(in srgb, currentColor 25%, transparent);
  border-radius: 0.5rem;
}

svg {
  width: 100%;
  fill: none;
  stroke: currentColor;
  stroke-width: 1;
}
`;

/** What runs in the page itself. */
export const main =
  `/** The page: a button that trains, the line of each epoch, and what the model says of some waves. */
import { SHAPES } from "./data.ts";
import type { Example, Message } from "./worker.ts";

const button = find<HTMLButtonElement>("train");
const progress = find("progress");
const examples = find("examples");

function find<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

button.addEventListener("click", () => {
  button.disabled = true;
  progress.textContent = "";
  examples.replaceChildren();
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    type: "module",
  });
  const end = () => {
    worker.terminate();
    button.disabled = false;
  };
  worker.onmessage = ({ data }: MessageEvent<Message>) => {
    if ("line" in data) {
      progress.append(\`\${data.line}\\n\`);
      progress.scrollTop = progress.scrollHeight;
    } else {
      examples.replaceChildren(...data.examples.map(draw));
      end();
    }
  };
  worker.onerror = ({ message }) => {
    progress.append(\`\${message}\\n\`);
    end();
  };
  worker.postMessage("train");
});

/** A wave, and below it the most probable shape. */
function draw({ values, shape, probabilities }: Example): HTMLElement {
  const best = probabilities.indexOf(Math.max(...probabilities));
  const points = values.map((value, step) => [2 * step, 24 - 16 * value]);
  const line = \`<polyline points="\${points.join(" ")}" />\`;
  const [actual, predicted] = [SHAPES[shape], SHAPES[best]];
  const percent = Math.round(100 * probabilities[best]);
  const figure = document.createElement("figure");
  figure.innerHTML =
    \`<svg viewBox="0 0 96 48" aria-hidden="true">\${line}</svg>\`;
  const caption = document.createElement("figcaption");
  caption.textContent = \`a \${actual} wave: \${predicted}, \${percent} %\`;
  figure.append(caption);
  return figure;
}
`;

/** What runs beside the page. */
export const worker = `/** Trains and predicts beside the page, which stays responsive. */
import { fit, init, key, predict } from "@cellfold/cellfold";
import { SHAPES, STEPS, waves } from "./data.ts";
import { input, model, objective, optimizer } from "./model.ts";

/** A wave, its shape, and how probable the model finds each shape. */
export interface Example {
  readonly values: readonly number[];
  readonly shape: number;
  readonly probabilities: readonly number[];
}

/** What the worker posts: the line of an epoch, and at the end examples. */
export type Message =
  | { readonly line: string }
  | { readonly examples: readonly Example[] };

const post = (message: Message) => postMessage(message);

addEventListener("message", async () => {
  const initial = init(model, key(0), input);
  const { variables } = await fit(model, initial, waves(600, 1), {
    ...objective,
    optimizer,
    epochs: 20,
    validation: waves(200, 2),
    report: (line) => post({ line }),
  });
  const { x, y } = waves(9, 3);
  const { data } = await predict(model, variables, x);
  const rows = (values: ArrayLike<number>, size: number, row: number) =>
    Array.from(values).slice(row * size, (row + 1) * size);
  const examples = Array.from(y.data, (shape, sample) => ({
    values: rows(x.data, STEPS, sample),
    shape,
    probabilities: rows(data, SHAPES.length, sample),
  }));
  post({ examples });
});
`;

/** Vite's configuration. */
export const configuration = `import { defineConfig } from "vite";

// With these headers a page may share memory between threads, so that training uses all cores.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  base: "./",
  server: { headers },
  preview: { headers },
  worker: { format: "es" }, // parts of the library are loaded when they are first used
});
`;
