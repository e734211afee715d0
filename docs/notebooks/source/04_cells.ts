/*# en
# 4. Layers and cells

A cell is one step, `(state, input) => [output, state]`; `rnn(cell)` folds it over a sequence. Built-in layers are no
more than that.
*/
/*# es
# 4. Capas y celdas

Una celda es un paso, `(estado, entrada) => [salida, estado]`; `rnn(cell)` la aplica a lo largo de una secuencia. Las
capas incorporadas no son más que eso.
*/
import * as cf from "@cellfold/cellfold";
import { cellReport, show } from "@cellfold/cellfold/display";

const x = cf.normal(cf.key(1), [4, 6, 3]);
const layer = cf.lstm({ units: 10 });
const variables = cf.init(layer, cf.key(0), x);
const ofLayer = await cf.predict(layer, variables, x);
const ofCell = await cf.predict(
  cf.rnn(cf.lstmCell({ units: 10 })),
  variables,
  x,
);
console.log(
  "largest difference:",
  cf.item(cf.max(cf.abs(cf.sub(ofLayer, ofCell)))),
);

/*# en
Cells can be stacked: the output of each is the input of the next, and all of it is one cell.
*/
/*# es
Las celdas se pueden apilar: la salida de cada una es la entrada de la siguiente, y el conjunto es una sola celda.
*/
const tower = cf.rnn(
  cf.stackedCells([cf.lstmCell({ units: 8 }), cf.gruCell({ units: 5 })]),
);
show(cf.init(tower, cf.key(0), x));

/*# en
## A cell of your own

A cell is an object with a few functions: what its parameters and its first state are, and its step. This one has a
single gate, `f = sigmoid(x·G)` and `h' = f·h + (1 - f)·tanh(x·W + h·U)`. It is differentiated and compiled like the
built-in ones.
*/
/*# es
## Una celda propia

Una celda es un objeto con unas pocas funciones: cuáles son sus parámetros y su estado inicial, y su paso. Esta tiene una
sola puerta, `f = sigmoid(x·G)` y `h' = f·h + (1 - f)·tanh(x·W + h·U)`. Se deriva y se compila igual que las incorporadas.
*/
interface Params {
  gate: cf.Tensor;
  kernel: cf.Tensor;
  recurrentKernel: cf.Tensor;
}

function singleGateCell(
  units: number,
): cf.RecurrentCell<Params, cf.Tensor, cf.Tensor, cf.Tensor> {
  return {
    type: "singleGateCell",
    options: { units },
    initParams(key, input) {
      const features = Number(input.shape[1]);
      const keys = cf.splitKey(key, 3);
      const range = { min: -0.5, max: 0.5 };
      return {
        gate: cf.uniform(keys[0], [features, units], range),
        kernel: cf.uniform(keys[1], [features, units], range),
        recurrentKernel: cf.uniform(keys[2], [units, units], range),
      };
    },
    initState: (_, input) => cf.zeros([input.shape[0], units]),
    step: ({ gate, kernel, recurrentKernel }) => (h, x) => {
      const f = cf.sigmoid(cf.matmul(x, gate));
      const candidate = cf.tanh(
        cf.add(cf.matmul(x, kernel), cf.matmul(h, recurrentKernel)),
      );
      const next = cf.add(cf.mul(f, h), cf.mul(cf.sub(1, f), candidate));
      return [next, next];
    },
  };
}

const own = cf.rnn(singleGateCell(16));
show(cf.init(own, cf.key(0), x));

/*# en
The adding problem, a classic: a sequence has random numbers, two of which are marked by a 1 beside them. What is their
sum? A model that always says 1, the mean, has a loss of about 0.17.
*/
/*# es
El problema de la suma, un clásico: una secuencia tiene números aleatorios, dos de ellos marcados con un 1 al lado.
¿Cuánto suman? Un modelo que responda siempre 1, la media, tiene una pérdida de alrededor de 0,17.
*/
function makeSums(count: number, seed: number) {
  const steps = 12;
  const random = cf.host(cf.uniform(cf.key(seed), [count, steps + 2])).data;
  const x = new Float32Array(count * steps * 2);
  const y = new Float32Array(count);
  for (let sample = 0; sample < count; sample++) {
    const [first, second, ...numbers] = random.subarray(
      sample * (steps + 2),
      (sample + 1) * (steps + 2),
    );
    const marked = [
      Math.floor(first * steps / 2),
      Math.floor((1 + second) * steps / 2),
    ];
    numbers.forEach((number, step) => x[(sample * steps + step) * 2] = number);
    for (const step of marked) {
      x[(sample * steps + step) * 2 + 1] = 1;
      y[sample] += numbers[step];
    }
  }
  return {
    x: cf.hostTensor(x, [count, steps, 2]),
    y: cf.hostTensor(y, [count, 1]),
  };
}

const model = cf.sequential([
  cf.rnn(singleGateCell(32)),
  cf.dense({ units: 1 }),
]);
const data = makeSums(2000, 1);
const { variables: trained } = await cf.fit(
  model,
  cf.init(model, cf.key(0), data.x),
  data,
  {
    loss: "mse",
    optimizer: cf.adam({ learningRate: 0.01 }),
    epochs: 25,
    validation: makeSums(200, 2),
    report: cellReport(),
  },
);

/*# en
Six new sequences: what the model says is in column 0, the sum in column 1.
*/
/*# es
Seis secuencias nuevas: lo que dice el modelo está en la columna 0 y la suma, en la columna 1.
*/
const { x: sequences, y: sums } = makeSums(6, 3);
show(cf.concat([await cf.predict(model, trained, sequences), sums]));

/*# en
What the library sees of a cell is a Program: a list of operations. Here is one step of the cell, traced for a batch of
2:
*/
/*# es
Lo que la biblioteca ve de una celda es un Program: una lista de operaciones. Este es un paso de la celda, trazado para
un lote de 2:
*/
const cell = singleGateCell(3);
const params = cell.initParams(cf.key(0), cf.spec([2, 4]));
const step = (h: cf.Tensor, x: cf.Tensor) =>
  cell.step(params, { training: false, input: cf.spec([2, 4]) })(h, x)[0];
show(cf.trace(step, cf.spec([2, 3]), cf.spec([2, 4])).program);
