/*# en
# 2. Outputs and states

A recurrent layer gives what its last step gave. With `returnSequences` it gives what every step gave, and with
`returnState` also the state after the last step.
*/
/*# es
# 2. Salidas y estados

Una capa recurrente devuelve la salida de su último paso. Con `returnSequences` devuelve la de todos los pasos y, con
`returnState`, también el estado tras el último.
*/
import * as cf from "@cellfold/cellfold";
import { plotStates, show } from "@cellfold/cellfold/display";

const model = cf.sequential([
  cf.embedding({ inputDim: 1000, outputDim: 64 }),
  cf.gru({ units: 256, returnSequences: true }),
  cf.simpleRnn({ units: 128 }),
  cf.dense({ units: 10 }),
]);
show(cf.summary(model, cf.spec([null, null], "int32")));

/*# en
A layer alone is a model too. Here an LSTM of 12 units reads one sequence of 48 steps: a wave that grows.
*/
/*# es
Una capa sola también es un modelo. Aquí una LSTM de 12 unidades lee una secuencia de 48 pasos: una onda que crece.
*/
const wave = Array.from(
  { length: 48 },
  (_, step) => [step / 24 * Math.sin(step / 3)],
);
const x = cf.tensor([wave]);

const last = cf.lstm({ units: 12 });
const variables = cf.init(last, cf.key(3), x);
const output = await cf.predict(last, variables, x);
show(output);

/*# en
`returnSequences` does not change the weights, so the same variables fit. The outputs of all steps, as a picture: time
goes from left to right, and every row is one unit.
*/
/*# es
`returnSequences` no cambia los pesos, así que sirven las mismas variables. Las salidas de todos los pasos, como imagen:
el tiempo avanza de izquierda a derecha y cada fila es una unidad.
*/
const all = cf.lstm({ units: 12, returnSequences: true });
const outputs = await cf.predict(all, variables, x);
show(plotStates(outputs, { title: "An LSTM reads a wave that grows" }));

/*# en
The last column is the output from before, to the last bit:
*/
/*# es
La última columna es la salida de antes, bit a bit:
*/
const difference = cf.sub(cf.at(outputs, -1, { axis: 1 }), output);
console.log("largest difference:", cf.item(cf.max(cf.abs(difference))));

/*# en
The state of an LSTM is `[h, c]`: `h` is its output, `c` the memory that it keeps to itself. Below, `h` is row 0 and `c`
is row 1.
*/
/*# es
El estado de una LSTM es `[h, c]`: `h` es su salida y `c` la memoria que guarda para sí. Abajo, `h` es la fila 0 y `c`,
la fila 1.
*/
const [, [h, c]] = await cf.predict(
  cf.lstm({ units: 12, returnState: true }),
  variables,
  x,
);
show(cf.concat([h, c], { axis: 0 }));
