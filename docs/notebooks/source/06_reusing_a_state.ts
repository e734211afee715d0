/*# en
# 6. Reusing a state

A state is plain data, so what one layer has read can be what another begins with. `returnState` gives it, and
`initialState` takes it.
*/
/*# es
# 6. Reutilizar un estado

Un estado son datos sin más: lo que ha leído una capa puede ser el punto de partida de otra. `returnState` lo devuelve e
`initialState` lo recibe.
*/
import * as cf from "@cellfold/cellfold";
import { plotStates, show } from "@cellfold/cellfold/display";

const [before, after] = [
  cf.normal(cf.key(1), [1, 20, 5]),
  cf.normal(cf.key(2), [1, 20, 5]),
];
const reader = cf.lstm({ units: 12, returnState: true });
const variables = cf.init(reader, cf.key(0), before);
const [, state] = await cf.predict(reader, variables, before);
show(cf.concat(state, { axis: 0 }));

/*# en
`apply` is a layer as a function. With the state, and with the same weights, a layer goes on where the first one ended:
its outputs are those of the whole sequence.
*/
/*# es
`apply` es la capa como función. Con el estado y con los mismos pesos, una capa continúa donde terminó la primera: sus
salidas son las de la secuencia entera.
*/
const layer = cf.lstm({ units: 12, returnSequences: true });
const told = layer.apply(variables, after, { training: false, initialState: state })
  .output;
const whole = await cf.predict(
  layer,
  variables,
  cf.concat([before, after], { axis: 1 }),
);
const [, rest] = cf.split(whole, 2, { axis: 1 });
console.log("largest difference:", cf.item(cf.max(cf.abs(cf.sub(told, rest)))));

/*# en
Without it, the layer begins with zeros. The difference between both is large at first and fades, as the layer forgets:
*/
/*# es
Sin él, la capa empieza con ceros. La diferencia entre ambas es grande al principio y se desvanece, porque la capa va
olvidando:
*/
const untold = layer.apply(variables, after, { training: false }).output;
show(
  plotStates(cf.sub(told, untold), {
    title: "What the state changes, step by step",
  }),
);
