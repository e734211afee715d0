/*# en
# 8. One path for every cell

In Keras, an LSTM is fast while it uses the options of cuDNN, and a cell of your own is not. Here, every layer and every
cell goes the same way: traced, optimized, and compiled to WebAssembly, WGSL or C. `explain` says what became of it.
*/
/*# es
# 8. Un solo camino para cualquier celda

En Keras, una LSTM es rápida mientras use las opciones de cuDNN; una celda propia no lo es. Aquí todas las capas y todas
las celdas siguen el mismo camino: se trazan, se optimizan y se compilan a WebAssembly, WGSL o C. `explain` dice en qué
se han convertido.
*/
import * as cf from "@cellfold/cellfold";
import { plotCurves, show } from "@cellfold/cellfold/display";

const layer = cf.gru({ units: 16 });
const x = cf.normal(cf.key(1), [8, 28, 28]);
const variables = cf.init(layer, cf.key(0), x);
const compiled = cf.compile(
  (variables: cf.Variables, x: cf.Tensor) => layer.apply(variables, x, { training: false }).output,
  { device: "wasm" },
);
await compiled(variables, x);
show(cf.explain(compiled));

/*# en
Other options, other cells and a cell with normalization lose nothing: each becomes one scan, and everything that does
not depend on the state is computed before it, for all steps at once.
*/
/*# es
Otras opciones, otras celdas o una celda con normalización no pierden nada: cada una se convierte en un solo scan, y todo
lo que no depende del estado se calcula antes, para todos los pasos a la vez.
*/
const layers = {
  "lstm": cf.lstm({ units: 16 }),
  "rnn(lstmCell)": cf.rnn(cf.lstmCell({ units: 16 })),
  "lstm with relu and without bias": cf.lstm({
    units: 16,
    activation: "relu",
    useBias: false,
  }),
  "rnn(layerNormLstmCell)": cf.rnn(cf.layerNormLstmCell({ units: 16 })),
};
for (const [name, layer] of Object.entries(layers)) {
  const input = cf.spec([null, 28, 28]);
  const compiled = cf.compile((variables: cf.Variables, x: cf.Tensor) =>
    layer.apply(variables, x, { training: false }).output
  );
  const { equations } = compiled.program(
    cf.init(layer, cf.key(0), input),
    input,
  );
  const scans = equations.filter(({ operation }) => operation.name === "scan").length;
  console.log(
    `${name}: ${equations.length} operations, ${scans} of them a scan`,
  );
}

/*# en
How long a prediction takes here, in milliseconds, for twenty calls of an `lstm` and of the same as a cell. The first
call of each compiles and is not shown.
*/
/*# es
Cuánto tarda aquí una predicción, en milisegundos, en veinte llamadas a una `lstm` y a lo mismo como celda. La primera
llamada de cada una compila y no se muestra.
*/
async function timesOf(layer: cf.Layer): Promise<number[]> {
  const digits = cf.normal(cf.key(2), [64, 28, 28]);
  const variables = cf.init(layer, cf.key(0), digits);
  await cf.predict(layer, variables, digits, { batchSize: 64 });
  const times = [];
  for (let call = 0; call < 20; call++) {
    const start = performance.now();
    await cf.predict(layer, variables, digits, { batchSize: 64 });
    times.push(performance.now() - start);
  }
  return times;
}

const series = [
  { name: "lstm", values: await timesOf(cf.lstm({ units: 64 })) },
  {
    name: "rnn(lstmCell)",
    values: await timesOf(cf.rnn(cf.lstmCell({ units: 64 }))),
  },
];
const labels = {
  title: "64 sequences of 28 steps",
  xLabel: "call",
  yLabel: "milliseconds",
};
show(plotCurves(series, labels));
