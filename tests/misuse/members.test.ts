/** Every method and every option of what the library makes, given what it is not made for, says so in its words. */
import { assertEquals, assertThrows } from "@std/assert";
import { madeObjects, methodsOf, optionsOf, runOptions } from "./members.ts";
import { bad, right } from "./values.ts";
import { combinations, type Fault, faultsOf, report, type Subject } from "./walk.ts";

const values = [...bad, ...right];

async function walk(subjects: readonly Subject[], least: number): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const subject of subjects) {
    for (let count = least; count <= subject.arity; count++) {
      faults.push(...await faultsOf(subject, combinations(values, count, right[0])));
    }
  }
  return faults;
}

Deno.test("methods say what is wrong with what they are given", async () => {
  assertEquals(report(await walk(madeObjects.flatMap(methodsOf), 0)), []);
});

Deno.test("options that are true or false are refused as texts", () => {
  for (const { object, remake } of madeObjects) {
    const { options = {} } = object as { readonly options?: object }; // of whatever is made
    for (const [option, value] of Object.entries(options)) {
      if (!remake || typeof value !== "boolean") continue;
      assertThrows(() => remake({ [option]: "false" }), TypeError, `${option} is the text "false"`);
    }
  }
});

Deno.test("options say what is wrong with what they are given", async () => {
  assertEquals(report(await walk([...madeObjects.flatMap(optionsOf), ...runOptions], 1)), []);
});
