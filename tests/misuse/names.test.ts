/** Names that every object of JavaScript has members of are names like others. */
import * as cf from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import { decodeSafetensors, encodeSafetensors } from "@cellfold/cellfold/safetensors";
import { assertEquals, assertThrows } from "@std/assert";

// deno-lint-ignore no-explicit-any -- what JavaScript lets one pass
const any = (value: unknown): any => value;

const names = ["constructor", "toString", "hasOwnProperty", "__proto__"];

const x = cf.ones([4, 3]);
const y = cf.ones([4, 1]);

/** An object whose key may also be `__proto__`. */
function withKey<T>(key: string, value: T): Record<string, T> {
  return Object.fromEntries([[key, value]]);
}

for (const name of names) {
  Deno.test(`${name} is no name of a loss, an optimizer, an option or the like`, () => {
    const unknown = "it is unknown";
    const layer = cf.dense({ units: 1 });
    assertThrows(
      () =>
        cf.createTrainer(layer, { loss: any(name) }).session("fit", cf.init(layer, cf.key(0), x), { x, y }),
      RangeError,
      unknown,
    );
    assertThrows(() => internal.resolveMetric(any(name), undefined, x, x), RangeError, unknown);
    assertThrows(() => cf.createTrainer(layer, { optimizer: any(name) }), RangeError, unknown);
    assertThrows(() => internal.resolveActivation(any(name)), RangeError, unknown);
    assertThrows(() => internal.resolveInitializer(any(name)), RangeError, unknown);
    assertThrows(() => cf.merge({ method: any(name) }), RangeError, unknown);
    assertThrows(() => cf.bidirectional(cf.gru({ units: 1 }), { mergeMode: any(name) }), RangeError, unknown);
    assertThrows(() => cf.fromJson(any({ type: name, options: {} })), RangeError, unknown);
    assertThrows(() => cf.tensor([1], { dtype: any(name) }), TypeError, "expected float32");
    assertThrows(() => cf.adam(any(withKey(name, 1))), RangeError, unknown);
    assertThrows(() => cf.createTrainer(layer, { device: any(name) }), RangeError, unknown);
    assertThrows(() => cf.compile(() => x, { device: any({ name }) }), RangeError, unknown);
    const variables = cf.init(layer, cf.key(0), x);
    assertThrows(() => cf.setWeights(variables, withKey(name, x)), RangeError, unknown);
  });

  Deno.test(`an output, a metric, a size and a tensor may be named ${name}`, async () => {
    const input = cf.input([3]);
    const model = cf.model({
      inputs: input,
      outputs: Object.fromEntries([[name, cf.call(cf.dense({ units: 1, name: "head" }), input)]]),
    });
    const variables = cf.init(model, cf.key(0), x);
    const metric = cf.meanMetric({ name });
    const { history } = await cf.fit(model, variables, { x, y: withKey(name, y) }, {
      loss: any(withKey(name, "mse")),
      metrics: any(withKey(name, [metric])),
      lossWeights: any(withKey(name, 1)),
      optimizer: "sgd",
      report: "none",
    });
    assertEquals(Object.values(history).map((values) => Number.isFinite(values[0])), [true, true]);
    assertEquals(String(internal.addDims(cf.symbol(name), 1)), `${name}+1`);
    const { tensors } = decodeSafetensors(encodeSafetensors(withKey(name, x)));
    assertEquals(Object.keys(tensors), [name]);
  });
}
