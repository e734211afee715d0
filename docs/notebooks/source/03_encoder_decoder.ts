/*# en
# 3. Encoder and decoder

The state in which one layer ends can be what another begins with. Two inputs, and a state between layers, are no
sequence of layers: the model is a graph. `input` makes its inputs, `call` applies a layer to them.
*/
/*# es
# 3. Codificador y decodificador

El estado en que termina una capa puede ser aquel con el que empieza otra. Dos entradas y un estado entre capas no forman
una simple secuencia de capas: el modelo es un grafo. `input` crea sus entradas y `call` les aplica una capa.
*/
import * as cf from "@cellfold/cellfold";
import { cellReport, show } from "@cellfold/cellfold/display";

const source = cf.input([null], { dtype: "int32", name: "source" });
const read = cf.call(cf.embedding({ inputDim: 10, outputDim: 8 }), source);
const [, state] = cf.call(
  cf.lstm({ units: 48, returnState: true, name: "encoder" }),
  read,
);

const target = cf.input([null], { dtype: "int32", name: "target" });
const begun = cf.call(cf.embedding({ inputDim: 11, outputDim: 8 }), target);
const decoder = cf.lstm({ units: 48, returnSequences: true, name: "decoder" });
const decoded = cf.call(decoder, begun, { initialState: state });
const digits = cf.call(cf.dense({ units: 10, activation: "softmax" }), decoded);

const model = cf.model({ inputs: { source, target }, outputs: digits });
const specs = {
  source: cf.spec([null, "source"], "int32"),
  target: cf.spec([null, "target"], "int32"),
};
show(cf.summary(model, specs));

/*# en
The task: say three digits again, from the last to the first. The decoder is given what it should have said so far,
and begins with the token 10.
*/
/*# es
La tarea: repetir tres cifras, de la última a la primera. El decodificador recibe lo que debería haber dicho hasta ese
momento y empieza con el token 10.
*/
function makeDigits(count: number, seed: number) {
  const source = cf.cast(
    cf.uniform(cf.key(seed), [count, 3], { min: 0, max: 10 }),
    "int32",
  );
  const y = cf.reverse(source, [1]);
  const start = cf.full([count, 1], 10, { dtype: "int32" });
  const target = cf.concat([
    start,
    cf.slice(y, { start: [0, 0], size: [count, 2] }),
  ], { axis: 1 });
  return { x: { source, target }, y };
}

const variables = cf.init(model, cf.key(0), specs);
const { variables: trained } = await cf.fit(
  model,
  variables,
  makeDigits(1500, 1),
  {
    loss: "sparseCategoricalCrossentropy",
    optimizer: cf.adam({ learningRate: 0.01 }),
    metrics: ["accuracy"],
    epochs: 15,
    validation: makeDigits(200, 2),
    report: cellReport(),
  },
);

/*# en
Two sources with the same target: only the state that the encoder leaves can tell the decoder what to say first. Each
row of the table has how probable the digits 0 to 9 are as the first one.
*/
/*# es
Dos fuentes con el mismo objetivo: solo el estado que deja el codificador puede indicarle al decodificador qué decir
primero. Cada fila de la tabla muestra la probabilidad de que la primera cifra sea cada una de las que van de 0 a 9.
*/
const sentences = {
  source: cf.tensor([[1, 2, 3], [7, 8, 9]], { dtype: "int32" }),
  target: cf.tensor([[10], [10]], { dtype: "int32" }),
};
show(cf.at(await cf.predict(model, trained, sentences), 0, { axis: 1 }));
