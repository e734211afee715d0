/**
 * Captchas: a published CRNN is read, reads pictures, learns a pen that it does not know, is exported.
 *
 *     deno run --no-lock --allow-read --allow-write --allow-env --allow-run examples/captcha/main.ts
 *
 * Takes about 40 seconds on two cores, after a first download of 72 MB by Python's pip, and prints how far the logits
 * are from onnxruntime-web's, as published and after training. The pictures are made up: the model reads most texts that
 * are drawn with lines, and next to none in dots, until it is trained on with 192 of them by the loss `ctc`. With
 * `--picture FILE` it draws where in a picture it sees each character; `--small` takes 15 seconds, with fewer pictures.
 */
import * as cf from "@cellfold/cellfold";
import { toOnnx } from "@cellfold/cellfold/onnx";
import { drawDigit } from "../support/draw.ts";
import { type ProgramOptions, programOptions, writePicture } from "../support/program.ts";
import { claim } from "../support/section.ts";
import { firstOf, HEIGHT, inkOf, makePictures, type Pen, type Pictures, WIDTH } from "./pictures.ts";
import { type Published, publishedReader } from "./published.ts";
import { readReader } from "./reader.ts";
import { differenceFromRuntime } from "./runtime.ts";

/** How well texts are read. */
export interface Score {
  /** The share of texts without a mistake. */
  readonly right: number;
  /** The character error rate: edits over characters. */
  readonly errors: number;
}

/** How it is run: with another file of the same form, where one is given. */
export type CaptchaOptions = ProgramOptions & { readonly published?: Published };

/** What the program gives: scores of pictures that no training sees, and the loss of each epoch. */
export interface Learned {
  readonly before: Readonly<Record<Pen, Score>>;
  readonly after: Readonly<Record<Pen, Score>>;
  readonly losses: readonly number[];
}

const percent = (value: number) => `${(100 * value).toFixed(0)} %`;

/** Runs the program. */
export async function main(options: CaptchaOptions = {}): Promise<Learned> {
  const { small = false, log = console.log } = options;
  const published = options.published ?? await publishedReader(log);
  const { model, variables, charset, labelsOf, textOf } = readReader(published);
  const count = small ? 12 : 48;
  const unseen: Readonly<Record<Pen, Pictures>> = {
    lines: makePictures(count, { pen: "lines", seed: 1 }),
    dots: makePictures(count, { pen: "dots", seed: 2 }),
  };
  const few = firstOf(unseen.dots, 3);
  log(`${unseen.dots.texts[0]} in dots:\n${drawDigit(inkOf(few, 0), { columns: 80 })}`);

  const scoresOf = async (when: string, variables: cf.Variables): Promise<Learned["before"]> => {
    const scoreOf = async (pen: Pen): Promise<Score> => {
      const { texts, pixels } = unseen[pen];
      const logits = await cf.predict(model, variables, pixels, { batchSize: 8 });
      const read = cf.ctcGreedyDecode(logits).map(({ labels }) => textOf(labels));
      const right = texts.filter((text, i) => text === read[i]).length / count;
      const errors = cf.errorRate(read, texts);
      const mistakes = `${percent(errors)} character errors`;
      log(`${when}, in ${pen}: ${percent(right)} of ${count} texts are right, ${mistakes}`);
      return { right, errors };
    };
    return { lines: await scoreOf("lines"), dots: await scoreOf("dots") };
  };
  /** Shows what a beam search finds in a few pictures, and compares their logits; what the model gives for them. */
  const compare = async (what: string, variables: cf.Variables, file: Uint8Array): Promise<cf.HostTensor> => {
    const logits = await cf.predict(model, variables, few);
    cf.ctcBeamSearch(logits, { beamWidth: 10, topPaths: 2 }).forEach((paths, i) => {
      const found = paths.map(({ labels, logProbability }) =>
        `"${textOf(labels)}" (${percent(Math.exp(logProbability))})`
      );
      log(`${what}, ${unseen.dots.texts[i]} is ${found.join(" or ")}`);
    });
    const relative = await differenceFromRuntime(file, few, logits);
    claim(log, relative <= 1e-4, `${what}: onnxruntime-web differs by ${relative.toExponential(1)}`);
    return logits;
  };

  const before = await scoresOf("as published", variables);
  await compare("as published", variables, published.file);

  const { texts, pixels } = makePictures(small ? 32 : 192, { pen: "dots", seed: 3 });
  const trained = await cf.fit(model, variables, { x: pixels, y: labelsOf(texts) }, {
    loss: "ctc", // the blank is class 0 in the file, too
    optimizer: cf.adam({ learningRate: 1e-4 }),
    batchSize: 8,
    epochs: 2,
    report: options.log ? "none" : "auto",
  });
  const { loss: losses } = trained.history;
  const falls = `from ${losses[0].toFixed(2)} to ${losses[1].toFixed(2)}`;
  claim(log, losses[1] < losses[0], `trained on, its loss falls ${falls}`);
  const after = await scoresOf("trained on", trained.variables);

  const exported = toOnnx(model, trained.variables, { input: cf.spec([null, 1, HEIGHT, WIDTH]) });
  const logits = await compare("exported", trained.variables, exported);

  await writePicture(options, ({ plotCurves }) => {
    const [text] = unseen.dots.texts;
    const probabilities = cf.softmax(cf.at(logits, 0));
    const curve = (name: string, label: number) => ({
      name,
      values: Array.from(cf.host(cf.at(probabilities, label, { axis: 1 })).data),
    });
    const characters = [...new Set(text)].map((name) => curve(name, charset.indexOf(name)));
    return plotCurves([...characters, curve("blank", 0)], {
      title: `Where it sees the characters of ${text}`,
      xLabel: "steps, from left to right",
      yLabel: "probability",
    });
  });
  return { before, after, losses };
}

if (import.meta.main) await main(programOptions(Deno.args));
