/*# en
# 7. Both ways

In a sentence, what comes later matters too. `bidirectional` has one layer read forwards and another backwards, and puts
their outputs side by side. Such layers stack.
*/
/*# es
# 7. En ambos sentidos

En una frase también importa lo que viene después. `bidirectional` hace que una capa lea hacia delante y otra hacia
atrás, y coloca sus salidas una junto a otra. Estas capas se pueden apilar.
*/
import * as cf from "@cellfold/cellfold";
import { plotStates, show } from "@cellfold/cellfold/display";

const model = cf.sequential([
  cf.bidirectional(cf.lstm({ units: 64, returnSequences: true })),
  cf.bidirectional(cf.lstm({ units: 32 })),
  cf.dense({ units: 10 }),
]);
show(cf.summary(model, cf.spec([null, 5, 10])));

/*# en
A sequence of 40 zeros with a single 1 in the middle shows who knows what and when. Units 0 to 7 read forwards, and
notice it from step 20 on; units 8 to 15 read backwards, and have noticed it before.
*/
/*# es
Una secuencia de 40 ceros con un único 1 en el centro muestra quién sabe qué y cuándo. Las unidades 0 a 7 leen hacia
delante y lo notan a partir del paso 20; las unidades 8 a 15 leen hacia atrás y lo han notado antes.
*/
const x = cf.tensor([
  Array.from({ length: 40 }, (_, step) => [step === 20 ? 4 : 0]),
]);
const layer = cf.bidirectional(cf.gru({ units: 8, returnSequences: true }));
const variables = cf.init(layer, cf.key(1), x);
const output = await cf.predict(layer, variables, x);
show(plotStates(output, { title: "A single 1 at step 20, read both ways" }));

/*# en
With `mergeMode: "sum"` the outputs are added. The weights stay the same, and so does the sum of both halves.
*/
/*# es
Con `mergeMode: "sum"` las salidas se suman. Los pesos son los mismos, y el resultado es la suma de las dos mitades.
*/
const summed = cf.bidirectional(cf.gru({ units: 8, returnSequences: true }), {
  mergeMode: "sum",
});
const [forwards, backwards] = cf.split(output, 2);
const difference = cf.sub(
  await cf.predict(summed, variables, x),
  cf.add(forwards, backwards),
);
console.log("largest difference:", cf.item(cf.max(cf.abs(difference))));
