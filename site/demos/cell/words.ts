/** The words of the demo, in both languages. */
import type { TaskName } from "./task_names.ts";

interface CellWords {
  readonly start: string;
  readonly own: string;
  readonly task: string;
  readonly tasks: { readonly [Name in TaskName]: string };
  readonly learningRate: string;
  readonly steps: string;
  readonly program: string;
  readonly run: string;
  readonly stop: string;
  readonly copy: string;
  readonly copied: string;
  readonly keys: string;
  readonly fromLink: string;
  readonly badLink: string;
  readonly tracing: string;
  readonly stopped: string;
  readonly done: string;
  readonly loss: string;
  readonly withoutMemory: string;
  readonly chart: string;
  readonly console: string;
  /** The figures while it trains. */
  readonly figures: (step: number, steps: number, loss: string, rate: number, weights: number) => string;
  readonly late: (seconds: number) => string;
  readonly atLine: (line: number) => string;
}

export const words: { readonly en: CellWords; readonly es: CellWords } = {
  en: {
    start: "Start from",
    own: "Your program",
    task: "Task",
    tasks: { adding: "Add two marked numbers", copy: "Copy symbols after a pause", sine: "Continue a wave" },
    learningRate: "Learning rate",
    steps: "Steps",
    program: "The program of the cell",
    run: "Run",
    stop: "Stop",
    copy: "Copy link",
    copied: "Copied",
    keys: "Ctrl+Enter runs, Escape leaves the editor.",
    fromLink:
      "This program came with the link: somebody else wrote it. It has not run. Read it, then press Run.",
    badLink: "The link is damaged or incomplete, so it was not used.",
    tracing: "Tracing and compiling …",
    stopped: "Stopped.",
    done: "Done.",
    loss: "loss",
    withoutMemory: "without memory",
    chart: "The loss at each training step, beside the least loss of a model without memory",
    console: "The program's output",
    figures: (step, steps, loss, rate, weights) =>
      `Step ${step} of ${steps}, loss ${loss}, ${rate.toFixed(0)} steps per second, ${weights} weights.`,
    late: (seconds) =>
      `Cannot trace the program: its functions did not return within ${seconds} seconds. Is there a loop without an end?`,
    atLine: (line) => `Line ${line}: `,
  },
  es: {
    start: "Empezar con",
    own: "Tu programa",
    task: "Tarea",
    tasks: {
      adding: "Sumar dos números marcados",
      copy: "Copiar símbolos tras una pausa",
      sine: "Continuar una onda",
    },
    learningRate: "Tasa de aprendizaje",
    steps: "Pasos",
    program: "El programa de la celda",
    run: "Ejecutar",
    stop: "Detener",
    copy: "Copiar enlace",
    copied: "Copiado",
    keys: "Ctrl+Intro ejecuta, Escape sale del editor.",
    fromLink:
      "Este programa venía en el enlace: lo escribió otra persona y todavía no se ha ejecutado. Léelo y pulsa Ejecutar.",
    badLink: "El enlace está dañado o incompleto, así que no se ha usado.",
    tracing: "Trazando y compilando…",
    stopped: "Detenido.",
    done: "Terminado.",
    loss: "pérdida",
    withoutMemory: "sin memoria",
    chart: "La pérdida en cada paso de entrenamiento, junto a la menor pérdida de un modelo sin memoria",
    console: "Salida del programa",
    figures: (step, steps, loss, rate, weights) =>
      `Paso ${step} de ${steps}, pérdida ${loss}, ${rate.toFixed(0)} pasos por segundo, ${weights} pesos.`,
    late: (seconds) =>
      `No se puede trazar el programa: sus funciones no terminaron en ${seconds} segundos. ¿Hay un bucle sin fin?`,
    atLine: (line) => `Línea ${line}: `,
  },
};
