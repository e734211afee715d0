/*# en
# 5. State across batches

A very long sequence is read in pieces: each piece begins with the state in which the one before ended. `streaming`
keeps that state for any layer or model.
*/
/*# es
# 5. Estado entre lotes

Una secuencia muy larga se lee por partes: cada una empieza con el estado en que terminó la anterior. `streaming` guarda
ese estado para cualquier capa o modelo.
*/
import * as cf from "@cellfold/cellfold";
import { cellReport, plotForecast, plotStates, show } from "@cellfold/cellfold/display";

const layer = cf.gru({ units: 10, returnSequences: true });
const variables = cf.init(layer, cf.key(0), cf.spec([1, null, 1]));
const long = cf.tensor([
  Array.from({ length: 60 }, (_, step) => [Math.sin(step / 4)]),
]);
const whole = await cf.predict(layer, variables, long);

const stream = cf.streaming(layer, variables);
const pieces = [];
for (const piece of cf.split(long, 3, { axis: 1 })) {
  pieces.push(await stream.push(piece));
}
const joined = cf.concat(pieces, { axis: 1 });
console.log(
  "largest difference:",
  cf.item(cf.max(cf.abs(cf.sub(joined, whole)))),
);
show(plotStates(joined, { title: "Three pieces of 20 steps, one state" }));

/*# en
The state is plain data: it can be looked at, stored, and given to another stream. `reset` begins a new sequence.
*/
/*# es
El estado son datos sin más: se puede mirar, guardar y pasar a otro stream. `reset` empieza una secuencia nueva.
*/
console.log("after 60 steps:", stream.state);
stream.reset();
const [first] = cf.split(long, 3, { axis: 1 });
const again = await stream.push(first);
console.log("as at first:", cf.item(cf.max(cf.abs(cf.sub(again, pieces[0])))));

/*# en
## Forecasting with a stream

A model learns to say the next value of a series: two waves, one on top of the other.
*/
/*# es
## Pronosticar con un stream

Un modelo aprende a decir el siguiente valor de una serie: dos ondas superpuestas.
*/
const series = Array.from(
  { length: 400 },
  (_, time) => Math.sin(time / 6) + 0.5 * Math.sin(time / 2.3),
);
const windows = Array.from(
  { length: 64 },
  (_, start) => series.slice(3 * start, 3 * start + 61),
);
const data = {
  x: cf.tensor(
    windows.map((window) => window.slice(0, -1).map((value) => [value])),
  ),
  y: cf.tensor(
    windows.map((window) => window.slice(1).map((value) => [value])),
  ),
};
const model = cf.sequential([
  cf.gru({ units: 24, returnSequences: true }),
  cf.dense({ units: 1 }),
]);
const { variables: trained } = await cf.fit(
  model,
  cf.init(model, cf.key(0), data.x),
  data,
  {
    loss: "mse",
    optimizer: cf.adam({ learningRate: 0.01 }),
    batchSize: 16,
    epochs: 60,
    report: cellReport(),
  },
);

/*# en
The stream reads 280 values, of which training has seen the first 250. Then it goes on by itself: each prediction is
its next input.
*/
/*# es
El stream lee 280 valores, de los que el entrenamiento ha visto los primeros 250. Después continúa por sí mismo: cada
predicción es su siguiente entrada.
*/
const forecast = cf.streaming(model, trained);
const start = 280;
const past = await forecast.push(
  cf.tensor([series.slice(0, start).map((value) => [value])]),
);
let next = cf.host(cf.at(past, -1, { axis: 1 }));
const predicted = [cf.item(next)];
while (predicted.length < 80) {
  next = await forecast.step(next);
  predicted.push(cf.item(next));
}
show(
  plotForecast({
    actual: series.slice(200, 360),
    predicted,
    start: start - 200,
  }),
);
