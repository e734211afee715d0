/** The words around the picture of a training step; what passes say of themselves is the library's, in English. */
import type { Family } from "./flame.ts";

interface ExplainedWords {
  readonly title: string;
  readonly passes: string;
  readonly passesText: string;
  readonly before: string;
  readonly traced: string;
  readonly inLoops: string;
  readonly once: string;
  readonly times: (count: number) => string;
  readonly kernels: string;
  readonly measured: (steps: number, total: string) => string;
  readonly estimated: string;
  readonly strip: string;
  readonly smaller: (count: number, share: string) => string;
  readonly runs: (count: number) => string;
  readonly families: { readonly [F in Family]: string };
  /** What was done, by the first word of what a pass says. */
  readonly done: readonly (readonly [verb: string, words: string])[];
  /** What each pass is for, by the first word of its name. */
  readonly about: Readonly<Record<string, string>>;
}

export const explainedWords: { readonly en: ExplainedWords; readonly es: ExplainedWords } = {
  en: {
    title: "What became of a training step",
    passes: "What the compiler did",
    passesText: "Equations of the step and of its derivative. What is in a loop runs at every time step.",
    before: "Before the derivative",
    traced: "As traced, with the derivative",
    inLoops: "in loops",
    once: "outside",
    times: (count) => count > 1 ? ` × ${count}` : "",
    kernels: "The kernels of a step",
    measured: (steps, total) =>
      `Measured over ${steps} steps on one thread of WebAssembly: ${total} a step. Below a loop is what it repeats.`,
    estimated:
      "On a GPU kernels are not measured: widths are estimated work. Below a loop is what it repeats.",
    strip: "The time of a training step by kernel, in the order in which they run",
    smaller: (count, share) => `${count} smaller kernels, ${share} in all`,
    runs: (count) => count > 1 ? `${count} times a step` : "",
    families: {
      product: "products",
      elementwise: "fused elementwise",
      reduction: "reductions",
      loop: "loops",
      other: "other",
    },
    done: [
      ["hoisted", "operations hoisted out of loops"],
      ["merged", "products merged"],
      ["joined", "additions joined"],
      ["sank", "sums over time made products after the loop"],
    ],
    about: {
      unroll: "A loop of one step becomes that step.",
      narrow: "Slices read only the parts they cover.",
      prune: "What nobody reads is not computed.",
      simplify: "Equal computations are done once.",
      hoist: "What does not depend on the state leaves the loop: one product for all time steps.",
      take: "A product of joined operands becomes products of its parts.",
      regroup: "Terms that are known before the loop are added first.",
      sink: "Gradients of weights become one product after the loop.",
      merge: "Products that share an operand become one.",
      split: "Gates share one index space.",
      compensate: "Long sums carry their rounding error along.",
    },
  },
  es: {
    title: "En qué se convirtió un paso de entrenamiento",
    passes: "Lo que hizo el compilador",
    passesText:
      "Ecuaciones del paso y de su derivada. Lo que está en un bucle se ejecuta en cada paso de tiempo. Los mensajes de la biblioteca están en inglés.",
    before: "Antes de derivar",
    traced: "Tal como se trazó, con la derivada",
    inLoops: "en bucles",
    once: "fuera",
    times: (count) => count > 1 ? ` × ${count}` : "",
    kernels: "Los kernels de un paso",
    measured: (steps, total) =>
      `Medido durante ${steps} pasos en un hilo de WebAssembly: ${total} por paso. Debajo de un bucle está lo que repite.`,
    estimated:
      "En una GPU no se miden los kernels: el ancho es trabajo estimado. Debajo de un bucle está lo que repite.",
    strip: "El tiempo de un paso de entrenamiento por kernel, en el orden en que se ejecutan",
    smaller: (count, share) => `${count} kernels menores, ${share} en total`,
    runs: (count) => count > 1 ? `${count} veces por paso` : "",
    families: {
      product: "productos",
      elementwise: "elemento a elemento, fusionados",
      reduction: "reducciones",
      loop: "bucles",
      other: "otros",
    },
    done: [
      ["hoisted", "operaciones sacadas de bucles"],
      ["merged", "productos unidos"],
      ["joined", "sumas unidas"],
      ["sank", "sumas en el tiempo hechas productos tras el bucle"],
    ],
    about: {
      unroll: "Un bucle de un solo paso se convierte en ese paso.",
      narrow: "Cada corte lee solo las partes que cubre.",
      prune: "Lo que nadie lee no se calcula.",
      simplify: "Los cálculos iguales se hacen una sola vez.",
      hoist: "Lo que no depende del estado sale del bucle: un producto para todos los pasos de tiempo.",
      take: "Un producto de operandos concatenados se reparte en productos de sus partes.",
      regroup: "Los términos conocidos antes del bucle se suman primero.",
      sink: "Los gradientes de los pesos se convierten en un producto después del bucle.",
      merge: "Los productos que comparten un operando se hacen uno.",
      split: "Las compuertas comparten un mismo espacio de índices.",
      compensate: "Las sumas largas arrastran su error de redondeo.",
    },
  },
};
