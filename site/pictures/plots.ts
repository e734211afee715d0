/** The plots of the guide: what models of its pages do, trained here. */
import * as cf from "@cellfold/cellfold";
import { plotCurves, plotStates } from "@cellfold/cellfold/display";
import * as Plot from "@observablehq/plot";
import { COLORS, GRAY, picture } from "../../formats/display/svg.ts";
import type { Say } from "./diagram.ts";

const DEVICE = { name: "wasm", threads: 1 } as const;
const SHAPES = [
  (place: number) => Math.sin(2 * Math.PI * place),
  (place: number) => place < 0.5 ? 1 : -1,
  (place: number) => 2 * place - 1,
];
const [COUNT, LENGTH] = [600, 48];

/** The waves of the page "Getting started", `[600, 48, 1]`: of each kind in turn, without noise. */
const clean = Array.from({ length: COUNT }, (_, index) => {
  const [period, begin] = [8 + index % 17, 0.618 * index];
  return Array.from({ length: LENGTH }, (_, step) => [SHAPES[index % 3]((step / period + begin) % 1)]);
});
const waves = cf.add(cf.tensor(clean), cf.mul(0.2, cf.normal(cf.key(1), [COUNT, LENGTH, 1])));
const kinds = cf.tensor(clean.map((_, index) => index % 3), { dtype: "int32" });

/** Four waves of each kind. */
function wavePlot(say: Say): string {
  const names = [say("sine", "senoidal"), say("square", "cuadrada"), say("sawtooth", "de sierra")];
  const values = cf.host(waves).data;
  const points = [0, 1, 2].flatMap((kind) =>
    [0, 1, 2].flatMap((column) =>
      Array.from({ length: LENGTH }, (_, step) => ({
        kind: names[kind],
        column,
        step,
        value: values[(kind + 3 * (5 + 4 * column)) * LENGTH + step],
      }))
    )
  );
  const plot: Plot.PlotOptions = {
    width: 460,
    height: 250,
    marginLeft: 8,
    marginRight: 78,
    marginTop: 8,
    marginBottom: 8,
    x: { axis: null },
    y: { axis: null },
    fx: { axis: null, padding: 0.12 },
    fy: { label: null, domain: names, padding: 0.18, axis: "right" },
    color: { domain: names, range: COLORS.slice(0, 3) },
    marks: [
      Plot.line(points, {
        x: "step",
        y: "value",
        fx: "column",
        fy: "kind",
        z: "kind",
        stroke: "kind",
        strokeWidth: 1.6,
      }),
      Plot.ruleY([0], { stroke: GRAY, strokeOpacity: 0.4 }),
    ],
  };
  const title = say("Waves with noise", "Ondas con ruido");
  return picture(title, [460, 284], [{ plot, x: 0, y: 34 }]).replaceAll('font-size="12"', 'font-size="14"');
}

/** States without axes, for the first page: time from left to right, a row for each unit. */
function landing(states: cf.Tensor, say: Say): string {
  const [steps, units] = [24, 16];
  const { data } = cf.host(states);
  const cells = Array.from({ length: steps * units }, (_, index) => {
    const [step, unit] = [index % steps, Math.floor(index / steps)];
    return { step, unit, value: data[step * units + unit] };
  });
  const color: Plot.ScaleOptions = {
    type: "diverging",
    range: ["#3b82f6", "#bfc7d5", "#d9730d"],
    domain: [-1, 1],
  };
  const plot: Plot.PlotOptions = {
    width: 480,
    height: 320,
    margin: 0,
    axis: null,
    x: { padding: 0.14 },
    y: { padding: 0.14 },
    color,
    marks: [Plot.cell(cells, { x: "step", y: "unit", fill: "value", rx: 4 })],
  };
  return picture(say("States of a GRU", "Estados de una GRU"), [480, 320], [{ plot, x: 0, y: 0 }])
    .replace(/<text x="16"[^]*?<\/text>/, "");
}

/** What the page "Getting started" trains, with its losses by epoch and its states. */
async function trainedGru() {
  const gru = cf.gru({ units: 16 });
  const model = cf.sequential([gru, cf.dense({ units: 3, activation: "softmax" })]);
  const { variables, history } = await cf.fit(
    model,
    cf.init(model, cf.key(0), waves),
    { x: waves, y: kinds },
    {
      loss: "sparseCategoricalCrossentropy",
      optimizer: cf.adam({ learningRate: 0.01, clipnorm: 1 }),
      metrics: ["accuracy"],
      epochs: 20,
      validation: { split: 0.2 },
      report: "none",
      device: DEVICE,
    },
  );
  const [params] = variables.params as readonly cf.Tree<cf.Tensor>[]; // of the first layer
  const states = cf.gru({ units: 16, returnSequences: true });
  const read = (mask?: cf.Tensor) => {
    const x = cf.tensor([Array.from({ length: LENGTH }, (_, step) => [Math.sin(step / 2.2)])]);
    return states.apply({ params, state: [] }, x, { training: false, mask }).output;
  };
  return { history, read };
}

/** The plots by name; those that show what was trained differ a little from machine to machine. */
export async function plotsIn(say: Say): Promise<Record<string, string>> {
  const { history, read } = await trainedGru();
  const states = (values: cf.Tensor, options: { readonly title: string }) =>
    plotStates(values, options).replace(">time<", `>${say("time", "tiempo")}<`).replace(
      ">unit<",
      `>${say("unit", "unidad")}<`,
    );
  const holes = Array.from(
    { length: LENGTH },
    (_, step) => !(step >= 12 && step < 18) && !(step >= 30 && step < 38),
  );
  return {
    waves: wavePlot(say),
    wavesLoss: plotCurves([
      { name: say("training", "entrenamiento"), values: history.loss },
      { name: say("validation", "validación"), values: history.val_loss },
    ], { title: say("Loss", "Pérdida"), xLabel: say("epoch", "época"), yLabel: say("loss", "pérdida") }),
    landing: landing(read(), say),
    states: states(read(), { title: say("16 states while a sine is read", "16 estados al leer un seno") }),
    maskedStates: states(read(cf.tensor([holes])), {
      title: say(
        "The same with steps 12–17 and 30–37 masked",
        "Lo mismo con los pasos 12–17 y 30–37 enmascarados",
      ),
    }),
  };
}
