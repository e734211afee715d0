/*# en
# 9. Nested inputs

The input, the state and the output of a cell are trees: a step may be a tensor, a list of tensors, named tensors, or
any nesting of both. Here a step is a frame of a film with its sound, `{ video, audio }`.
*/
/*# es
# 9. Entradas anidadas

La entrada, el estado y la salida de una celda son árboles: un paso puede ser un tensor, una lista de tensores, tensores
con nombre o cualquier anidamiento de ambos. Aquí un paso es un fotograma de una película con su sonido,
`{ video, audio }`.
*/
import * as cf from "@cellfold/cellfold";
import { cellReport, show } from "@cellfold/cellfold/display";

interface Frame {
  video: cf.Tensor; // [batch, height, width, channels]
  audio: cf.Tensor; // [batch, samples]
}

interface Params {
  video: cf.Tensor;
  audio: cf.Tensor;
  recurrent: cf.Tensor;
}

/*# en
The cell has a kernel for each part of a frame: `h' = tanh(video·V + audio·A + h·R)`. `einsum` multiplies height, width
and channels at once.
*/
/*# es
La celda tiene un kernel para cada parte del fotograma: `h' = tanh(video·V + audio·A + h·R)`. `einsum` multiplica alto,
ancho y canales de una vez.
*/
function filmCell(
  units: number,
): cf.RecurrentCell<Params, cf.Tensor, Frame, cf.Tensor> {
  return {
    type: "filmCell",
    options: { units },
    initParams(key, { video, audio }) {
      const [height, width, channels] = video.shape.slice(1).map(Number);
      const keys = cf.splitKey(key, 3);
      const range = { min: -0.1, max: 0.1 };
      return {
        video: cf.uniform(keys[0], [height, width, channels, units], range),
        audio: cf.uniform(keys[1], [Number(audio.shape[1]), units], range),
        recurrent: cf.uniform(keys[2], [units, units], range),
      };
    },
    initState: (_, { audio }) => cf.zeros([audio.shape[0], units]),
    step: (params) => (h, { video, audio }) => {
      const seen = cf.einsum("bhwc,hwcu->bu", video, params.video);
      const heard = cf.matmul(audio, params.audio);
      const next = cf.tanh(
        cf.add(cf.add(seen, heard), cf.matmul(h, params.recurrent)),
      );
      return [next, next];
    },
  };
}

const film = {
  video: cf.normal(cf.key(1), [256, 6, 8, 8, 3]),
  audio: cf.normal(cf.key(2), [256, 6, 16]),
};
const model = cf.sequential([cf.rnn(filmCell(16)), cf.dense({ units: 1 })]);
const variables = cf.init(model, cf.key(0), film);
show(variables);

/*# en
The names of the parameters are those of the cell's tree. The films are noise, and what there is to learn is how loud
they are at the end: the mean of the last sound.
*/
/*# es
Los nombres de los parámetros son los del árbol de la celda. Las películas son ruido, y lo que hay que aprender es lo
fuerte que suenan al final: la media del último sonido.
*/
const loudness = cf.mean(cf.at(film.audio, -1, { axis: 1 }), {
  axes: [1],
  keepDims: true,
});
const { variables: trained } = await cf.fit(model, variables, {
  x: film,
  y: loudness,
}, {
  loss: "mse",
  optimizer: cf.adam({ learningRate: 0.003 }),
  epochs: 30,
  report: cellReport(),
});

/*# en
A nested input is data like any other: `predict`, batches and streams take it as it is. Here is a dark frame with a sound
of loudness 1, the first of a stream:
*/
/*# es
Una entrada anidada es un dato como cualquier otro: `predict`, los lotes y los streams la aceptan tal cual. Este es un
fotograma oscuro con un sonido de intensidad 1, el primero de un stream:
*/
const stream = cf.streaming(model, trained);
const frame = { video: cf.zeros([1, 8, 8, 3]), audio: cf.ones([1, 16]) };
show(await stream.step(frame));
