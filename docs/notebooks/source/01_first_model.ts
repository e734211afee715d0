/*# en
# 1. A first model

A recurrent layer reads a sequence step by step and keeps a state from one step to the next. Here tokens become
vectors, an LSTM reads them, and a dense layer makes of its last output how probable each of two classes is.

Everything comes from one package. `show` gives a cell of a notebook something to display.
*/
/*# es
# 1. Un primer modelo

Una capa recurrente lee una secuencia paso a paso y conserva un estado de un paso al siguiente. Aquí los tokens se
convierten en vectores, una LSTM los lee y una capa densa calcula, a partir de su última salida, la probabilidad de
cada una de las dos clases.

Todo viene en un solo paquete. `show` le da a la celda del cuaderno algo que mostrar.
*/
import * as cf from "@cellfold/cellfold";
import { cellReport, show } from "@cellfold/cellfold/display";

const model = cf.sequential([
  cf.embedding({ inputDim: 20, outputDim: 8 }),
  cf.lstm({ units: 16 }),
  cf.dense({ units: 2, activation: "softmax" }),
]);
const input = cf.spec([null, null], "int32");
show(cf.summary(model, input));

/*# en
`null` leaves a size open: the model takes any number of sentences of any length. A model has no weights of its own.
`init` makes them from a random key, the same ones for the same key.
*/
/*# es
`null` deja un tamaño abierto: el modelo acepta cualquier número de frases de cualquier longitud. Un modelo no contiene
pesos: `init` los crea a partir de una clave aleatoria, siempre los mismos para la misma clave.
*/
const variables = cf.init(model, cf.key(0), input);
show(variables);

/*# en
Two sentences of four tokens give two rows of two probabilities. The weights are random, so both are near one half.
*/
/*# es
Dos frases de cuatro tokens dan dos filas de dos probabilidades. Como los pesos son aleatorios, todas rondan 0,5.
*/
const sentences = cf.tensor([[4, 16, 7, 8], [15, 12, 0, 0]], {
  dtype: "int32",
});
show(await cf.predict(model, variables, sentences));

/*# en
## Training

The question to learn: is the token 7 anywhere in a sentence of twelve? The sentences are made up. `cellReport` keeps
one cell up to date while `fit` trains: the epoch, the losses so far, and their curves.
*/
/*# es
## Entrenamiento

La pregunta que debe aprender: ¿aparece el token 7 en una frase de doce? Las frases son inventadas. Mientras `fit`
entrena, `cellReport` mantiene al día una sola celda: la época, las pérdidas hasta el momento y sus curvas.
*/
function makeSentences(count: number, seed: number) {
  const x = cf.cast(
    cf.uniform(cf.key(seed), [count, 12], { min: 0, max: 20 }),
    "int32",
  );
  const sevens = cf.sum(cf.cast(cf.equal(x, 7), "int32"), { axes: [1] });
  return { x, y: cf.cast(cf.greater(sevens, 0), "int32") };
}

const { variables: trained, history } = await cf.fit(
  model,
  variables,
  makeSentences(1000, 1),
  {
    loss: "sparseCategoricalCrossentropy",
    optimizer: cf.adam({ learningRate: 0.002 }),
    metrics: ["accuracy"],
    epochs: 12,
    validation: makeSentences(200, 2),
    report: cellReport(),
  },
);

/*# en
`fit` returns new variables and the history; those that it was given have not changed. The same two sentences again:
only the first one has a 7.
*/
/*# es
`fit` devuelve variables nuevas y el historial; las que recibió no cambian. De nuevo las mismas dos frases: solo la
primera tiene un 7.
*/
show(await cf.predict(model, trained, sentences));

/*# en
The history by epoch, as a table and as curves:
*/
/*# es
El historial por épocas, como tabla y como curvas:
*/
show(history);
