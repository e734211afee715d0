/** Every public function, given what it is not made for, says so in the words of the library. */
import * as core from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import * as keras from "@cellfold/cellfold/keras";
import * as onnx from "@cellfold/cellfold/onnx";
import * as safetensors from "@cellfold/cellfold/safetensors";
import * as standalone from "@cellfold/cellfold/standalone";
import * as tfjs from "@cellfold/cellfold/tfjs";
import * as torch from "@cellfold/cellfold/torch";
import { assertEquals } from "@std/assert";
import { bad, right } from "./values.ts";
import { combinations, type Fault, faultsOf, report, someOf, type Subject } from "./walk.ts";

const modules = { core, internal, keras, onnx, safetensors, standalone, tfjs, torch };

/** Options come after the parameters that `length` counts. */
function subjectsOf(module: object): Subject[] {
  return Object.entries(module).flatMap(([name, value]) =>
    typeof value !== "function" || /^class\b/.test(Function.prototype.toString.call(value))
      ? []
      : [{ name, call: value, arity: Math.min(value.length + 1, 4) }]
  );
}

for (const [name, module] of Object.entries(modules)) {
  Deno.test(`every function of ${name} says what is wrong with what it is given`, async () => {
    const values = [...bad, ...right];
    const usual = right[0];
    const faults: Fault[] = [];
    for (const [index, subject] of subjectsOf(module).entries()) {
      for (let count = 0; count <= subject.arity; count++) {
        faults.push(...await faultsOf(subject, someOf(combinations(values, count, usual), 5000 * index)));
      }
    }
    assertEquals(report(faults), []);
  });
}
