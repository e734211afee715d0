/** A file of C with the Programs of a model: one for whole sequences, one for a step, or both. */
import { evaluateDim } from "../../../src/tensor/dims.ts";
import type { Dim } from "../../../src/tensor/dims.ts";
import { sizeOf } from "../../shapes.ts";
import { givenInputs, resultsOf, type StandaloneProgram } from "../../standalone/roles.ts";
import { HELPERS } from "../c/helpers.ts";
import { HEADERS, OPERATIONS, VECTORS } from "../c/vectors.ts";
import { elementType, printSize } from "../emit/code.ts";
import { mathSource } from "../emit/math.ts";
import { HALF, productSource } from "./product.ts";
import { type CFile, type CProgram, writeProgram } from "./program.ts";
import { Arrays, type WeightFormat } from "./weights.ts";

/** A tensor of a function's signature. */
export interface Parameter {
  /** An identifier. */
  readonly name: string;
  /** What it is, for the comment in the header: `float32[1, length, 3]`. */
  readonly text: string;
}

/** A Program, and what its function is called with. */
export interface CFunction {
  readonly program: StandaloneProgram;
  /** The parameters of what is given and of the results, in order. */
  readonly inputs: readonly Parameter[];
  readonly outputs: readonly Parameter[];
  /** The parameters of the open sizes, in order. */
  readonly sizes: readonly string[];
}

/** What becomes a file. */
export interface CSource {
  /** An identifier, with which all public names begin. */
  readonly name: string;
  readonly weights: WeightFormat;
  readonly predict?: CFunction;
  readonly step?: CFunction;
}

/** A source file and its header. */
export interface CFiles {
  readonly source: string;
  readonly header: string;
  /** Bytes of constant arrays: the weights. */
  readonly constants: number;
  /** Bytes of a state of `step`. */
  readonly state?: number;
  /** Bytes of the workspace of `predict`. */
  readonly work?: Dim;
}

/** Writes the files. */
export function writeFiles({ name, weights, predict, step }: CSource): CFiles {
  const file: CFile = { functions: new Set(), products: new Set(), arrays: new Arrays() };
  const whole = predict && writeProgram(predict.program, file, { prefix: "predict", weights });
  const stepped = step && writeProgram(step.program, file, { prefix: "step", weights });
  const declared = [
    ...(predict && whole ? [predictDeclaration(name, predict, whole)] : []),
    ...(step && stepped ? [stepDeclaration(name, step, stepped)] : []),
  ];
  const arrays = file.arrays.definitions;
  const source = [
    `/* The model ${name}, written by Cellfold: see ${name}.h. */`,
    `#include "${name}.h"`,
    HEADERS,
    // Functions on vectors are inlined, so how vectors are passed does not matter.
    '#pragma GCC diagnostic ignored "-Wpsabi"',
    // GCC sees loads of whole vectors from arrays that are shorter, and not that these are never reached.
    '#pragma GCC diagnostic ignored "-Warray-bounds"',
    VECTORS,
    OPERATIONS,
    HELPERS,
    ...(file.products.has("float16") || weights === "float16" ? [HALF] : []),
    mathSource(file.functions),
    ...[...file.products].sort().map(productSource),
    ...arrays.map(({ text }) => text),
    ...(predict && whole ? [whole.code, predictDefinition(name, predict)] : []),
    ...(step && stepped ? [stepped.code, stepDefinition(name, step, stepped)] : []),
  ].join("\n");
  return {
    source,
    header: headerOf(name, declared),
    constants: arrays.reduce((sum, { bytes }) => sum + bytes, 0),
    ...(whole && { work: bytesOf(whole.work) }),
    ...(stepped && { state: stateBytes(stepped) }),
  };
}

function headerOf(name: string, declared: readonly string[]): string {
  const guard = `CELLFOLD_${name}_H`;
  return `/*
 * The model ${name}, written by Cellfold. Tensors are row-major arrays of float, or of int32_t where they are
 * int32 or bool (0 or 1). Nothing is allocated, and nothing but what is passed is written.
 */
#ifndef ${guard}
#define ${guard}
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

${declared.join("\n")}
#ifdef __cplusplus
}
#endif
#endif
`;
}

/** The parameters of a function in C, with the types of a Program's inputs and outputs. */
function parametersOf({ program: { program, ...rest }, inputs, outputs, sizes }: CFunction): string[] {
  const given = givenInputs({ program, ...rest }), results = resultsOf({ program, ...rest });
  return [
    ...inputs.map(({ name }, at) => `const ${elementType(program.inputs[given[at]].dtype)} *${name}`),
    ...sizes.map((size) => `int32_t ${size}`),
    ...outputs.map(({ name }, at) => `${elementType(program.outputs[results[at]].dtype)} *${name}`),
  ];
}

function tensorsText({ inputs, outputs }: CFunction): string {
  return [...inputs, ...outputs].map(({ name, text }) => ` *   ${name}: ${text}`).join("\n");
}

function predictDeclaration(name: string, fn: CFunction, { work }: CProgram): string {
  const { program: { sizes: symbols }, sizes } = fn;
  const macro = `${name.toUpperCase()}_WORK`;
  const size = printSize(work, (symbol) => `(int32_t)(${sizes[symbols.indexOf(symbol)]})`);
  const least = sizes.length === 0 ? "" : ` Returns 0, and does nothing, if a size is less than 1; else 1.`;
  return `/* Floats of the workspace of ${name}_predict. */
#define ${macro}${sizes.length === 0 ? "" : `(${sizes.join(", ")})`} (${size})

/*
 * Predicts for whole sequences.${least}
${tensorsText(fn)}
 *   work: ${macro}${sizes.length === 0 ? "" : `(${sizes.join(", ")})`} floats, whose content does not matter
 */
int ${name}_predict(${[...parametersOf(fn), "float *work"].join(", ")});
`;
}

/** The fields of a call. */
function callFields({ program: standalone, inputs, outputs }: CFunction): string[] {
  const given = givenInputs(standalone), results = resultsOf(standalone);
  return [
    ...inputs.map(({ name }, at) => `.input_${given[at]} = ${name}`),
    ...outputs.map(({ name }, at) => `.output_${results[at]} = ${name}`),
  ];
}

function predictDefinition(name: string, fn: CFunction): string {
  const { program: { sizes: symbols }, sizes } = fn;
  const fields = [
    ...callFields(fn),
    ...symbols.map((symbol, at) => `.${symbol} = ${sizes[at]}`),
    ".work = work",
  ];
  const check = sizes.length === 0
    ? ""
    : `  if (${sizes.map((size) => `${size} < 1`).join(" || ")}) return 0;\n`;
  return `int ${name}_predict(${[...parametersOf(fn), "float *work"].join(", ")}) {
${check}  const struct predict_call c = {${fields.join(", ")}};
  predict_run(&c);
  return 1;
}
`;
}

function stepDeclaration(name: string, fn: CFunction, { states, work }: CProgram): string {
  const fields = [
    ...states.map(({ elements, type }, index) => `  ${type} state_${index}[${Math.max(1, elements)}];`),
    `  float work[${workElements(work)}];`,
  ];
  return `/* What is kept from step to step. */
typedef struct ${name}_state {
${fields.join("\n")}
} ${name}_state;

/* Begins a new sequence. */
void ${name}_reset(${name}_state *state);

/*
 * One step of a sequence.
${tensorsText(fn)}
 */
void ${name}_step(${[`${name}_state *state`, ...parametersOf(fn)].join(", ")});
`;
}

/** C has no empty arrays. */
function workElements(work: Dim): number {
  return Math.max(1, evaluateDim(work, {}));
}

function stepDefinition(name: string, fn: CFunction, program: CProgram): string {
  const { states } = program;
  const fields = [
    ...callFields(fn),
    ...states.map(({ input }, index) => `.input_${input} = state->state_${index}`),
    ".work = state->work",
  ];
  const copies = (from: (index: number) => string) =>
    states.map((_, index) =>
      `  memcpy(state->state_${index}, ${from(index)}, sizeof state->state_${index});`
    );
  return [
    `_Static_assert(sizeof(${name}_state) == ${stateBytes(program)}, "bytes of a state");`,
    `void ${name}_reset(${name}_state *state) {`,
    ...copies((index) => states[index].first),
    ...(states.length === 0 ? ["  (void)state;"] : []),
    "}",
    `void ${name}_step(${[`${name}_state *state`, ...parametersOf(fn)].join(", ")}) {`,
    `  const struct step_call c = {${fields.join(", ")}};`,
    "  step_run(&c);",
    ...copies((index) => `state->work + ${states[index].next}`),
    "}",
    "",
  ].join("\n");
}

function stateBytes({ states, work }: CProgram): number {
  return 4 * (states.reduce((sum, { elements }) => sum + Math.max(1, elements), 0) + workElements(work));
}

function bytesOf(elements: Dim): Dim {
  return sizeOf([elements, 4]);
}
