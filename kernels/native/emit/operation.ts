/** Elementwise operations on vectors. In a register a bool is a mask. */
import type { DType } from "../../../src/tensor/tensor.ts";
import type { FusedName, FusedOperation } from "../../lowering/kinds/fused.ts";
import { mapFunctions, type MathName } from "../../math/mod.ts";

/** The C of an operation's result, from that of its operands. */
type Say = (operands: readonly string[], operation: FusedOperation) => string;

/** The type of a value in a register. */
export function registerType(dtype: DType): "vf" | "vi" | "mask" {
  return dtype === "float32" ? "vf" : dtype === "bool" ? "mask" : "vi";
}

function operator(sign: string): Say {
  return ([a, b]) => `${a} ${sign} ${b}`;
}

function call(name: string): Say {
  return (operands) => `${name}(${operands.join(", ")})`;
}

/** One form for floats, one for integers, and one for bools where there is any. */
function by(float: Say, integer: Say, bool?: Say): Say {
  return (operands, operation) => {
    if (operation.inputDType === "float32") return float(operands, operation);
    if (operation.inputDType !== "bool") return integer(operands, operation);
    if (!bool) throw new Error(`Cannot write ${operation.name} of bools in C`);
    return bool(operands, operation);
  };
}

/**
 * The larger or smaller; one instruction where a constant decides about NaN and zeros. Of two zeros that instruction gives
 * the one that is not the constant.
 */
function limit(name: "maximum" | "minimum", at: "v_at_least" | "v_at_most"): Say {
  return (operands, { operands: given }) => {
    const constants = given.map((operand) => operand.kind === "constant" ? operand.value : undefined);
    const which = constants.findIndex((value) => typeof value === "number" && !Number.isNaN(value));
    const constant = constants[which], limited = `${at}(${operands[1 - which]}, ${operands[which]})`;
    if (which < 0 || (name === "minimum" && Object.is(constant, -0))) {
      return `v_${name}(${operands.join(", ")})`;
    }
    // The positive zero is the larger one: -0 + 0 is 0.
    return name === "maximum" && Object.is(constant, 0) ? `${limited} + v_number(0)` : limited;
  };
}

const casts: Readonly<Record<"float32" | "int32" | "bool", Casts>> = {
  float32: {
    float32: (x) => x,
    int32: (x) => `v_to_int(${x})`,
    bool: (x) => `v_not(v_equal(${x}, v_number(0)))`,
  },
  int32: {
    float32: (x) => `v_to_float(${x})`,
    int32: (x) => x,
    bool: (x) => `v_not(v_equal_int(${x}, v_integer(0)))`,
  },
  bool: {
    float32: (x) => `v_choose(${x}, v_number(1), v_number(0))`,
    int32: (x) => `v_choose_int(${x}, v_integer(1), v_integer(0))`,
    bool: (x) => x,
  },
};
type Casts = Readonly<Record<"float32" | "int32" | "bool", (x: string) => string>>;

const cast: Say = ([x], { inputDType, output: { dtype } }) => {
  if (inputDType === "float64" || dtype === "float64") throw new Error("Cannot write float64 in C");
  return casts[inputDType][dtype](x);
};

/** Every operation: the type checker reports a missing one. */
const operations: { readonly [Name in FusedName]: Say } = {
  ...mapFunctions((_, name) => call(`v_${name}`)),
  copy: ([x]) => x,
  neg: ([x]) => `-${x}`,
  abs: by(call("v_abs"), call("v_abs_int")),
  sign: by(call("v_sign"), call("v_sign_int")),
  floor: call("v_floor"),
  sqrt: call("v_sqrt"),
  add: operator("+"),
  sub: operator("-"),
  mul: operator("*"),
  div: by(operator("/"), call("v_divide_int")),
  maximum: by(limit("maximum", "v_at_least"), call("v_maximum_int")),
  minimum: by(limit("minimum", "v_at_most"), call("v_minimum_int")),
  equal: by(call("v_equal"), call("v_equal_int"), call("v_same")),
  less: by(call("v_less"), call("v_less_int")),
  lessEqual: by(call("v_less_equal"), call("v_less_equal_int")),
  and: call("v_both"),
  or: call("v_either"),
  not: call("v_not"),
  select: (operands, { output: { dtype } }) => {
    const name = { vf: "v_choose", vi: "v_choose_int", mask: "v_choose_mask" }[registerType(dtype)];
    return `${name}(${operands.join(", ")})`;
  },
  cast,
};

const mathNames: ReadonlySet<string> = new Set(Object.keys(mapFunctions(() => true)));

/** The function of `kernels/math` that an operation calls. */
export function mathNameOf({ name }: FusedOperation): MathName | undefined {
  return mathNames.has(name) ? name as MathName : undefined; // as just checked
}

/** The C of an operation's result. */
export function sayOperation(operation: FusedOperation, operands: readonly string[]): string {
  return operations[operation.name](operands, operation);
}
