/** What the demo says, in both languages. */
import type { Problem } from "./csv.ts";

const EN = {
  drop: "Drop a CSV file here, or choose one:",
  file: "CSV file",
  example: "Use the example",
  download: "download it",
  exampleNote: "Visitors of a museum, made up by a generator with a fixed key.",
  loaded: (name: string, rows: number) => `${name}: ${rows} rows`,
  column: "Column",
  lookback: "Window",
  ahead: "Steps to forecast",
  epochs: "Epochs",
  train: "Train and forecast",
  stop: "Stop",
  figures: (step: number, steps: number, rate: string, loss: string) =>
    `step ${step} of ${steps} · ${rate} steps per second · loss ${loss}`,
  lossName: "loss",
  lossTitle: "Loss of each step",
  lossLabel: "The loss of each training step",
  seriesTitle: "The series",
  seriesLabel: "The series: measured, predicted where it was held out, and forecast beyond its end",
  measured: "measured",
  predicted: "predicted",
  forecast: "forecast",
  residualsTitle: "Residuals: measured minus predicted",
  residualsLabel: (from: string, to: string) =>
    `Histogram of the residuals on the part held out, from ${from} to ${to}`,
  errors: (model: string, repeated: string) =>
    `On the last fifth, which was held out, predictions one step ahead are off by ${model} on average; repeating the last value is off by ${repeated}.`,
  unreadable: (reason: string) => `The file could not be read: ${reason}`,
  failed: (reason: string) => `Training ended with an error: ${reason}`,
  problem(problem: Problem): string {
    switch (problem.kind) {
      case "empty":
        return "The file is empty. Choose one with a line for each time step.";
      case "noNumbers":
        return "No column of the file is of numbers. Write numbers as 12.5, or as 12,5 where fields are separated by semicolons.";
      case "ragged":
        return `Line ${problem.line} has ${problem.fields} fields, expected ${problem.expected} as in the first line.`;
      case "gap":
        return `Line ${problem.line} of the column “${problem.column}” has ${
          problem.found === "" ? "nothing" : `“${problem.found}”`
        } where a number was expected${
          problem.others > 0 ? `, and so have ${problem.others} more lines` : ""
        }. Fill the gap or remove the lines.`;
      case "short":
        return `The series has ${problem.rows} rows, expected at least ${problem.expected} for such a window. Choose a smaller window or a longer file.`;
      case "constant":
        return `The column “${problem.column}” is ${problem.value} in every line: there is nothing to learn. Choose another column.`;
    }
  },
};

const ES: typeof EN = {
  drop: "Suelta aquí un archivo CSV o elígelo:",
  file: "Archivo CSV",
  example: "Usar el ejemplo",
  download: "descargarlo",
  exampleNote: "Visitantes de un museo, inventados por un generador con clave fija.",
  loaded: (name, rows) => `${name}: ${rows} filas`,
  column: "Columna",
  lookback: "Ventana",
  ahead: "Pasos por pronosticar",
  epochs: "Épocas",
  train: "Entrenar y pronosticar",
  stop: "Parar",
  figures: (step, steps, rate, loss) =>
    `paso ${step} de ${steps} · ${rate} pasos por segundo · pérdida ${loss}`,
  lossName: "pérdida",
  lossTitle: "Pérdida de cada paso",
  lossLabel: "La pérdida de cada paso de entrenamiento",
  seriesTitle: "La serie",
  seriesLabel: "La serie: medida, predicha donde se reservó y pronosticada más allá de su final",
  measured: "medida",
  predicted: "predicha",
  forecast: "pronóstico",
  residualsTitle: "Residuos: lo medido menos lo predicho",
  residualsLabel: (from, to) => `Histograma de los residuos en la parte reservada, de ${from} a ${to}`,
  errors: (model, repeated) =>
    `En la última quinta parte, que se reservó, las predicciones a un paso se desvían ${model} de media; repetir el último valor se desvía ${repeated}.`,
  unreadable: (reason) => `No se ha podido leer el archivo: ${reason}`,
  failed: (reason) => `El entrenamiento ha terminado con un error: ${reason}`,
  problem(problem) {
    switch (problem.kind) {
      case "empty":
        return "El archivo está vacío. Elige uno con una línea por paso de tiempo.";
      case "noNumbers":
        return "Ninguna columna del archivo es de números. Escríbelos como 12.5, o como 12,5 si los campos se separan con punto y coma.";
      case "ragged":
        return `La línea ${problem.line} tiene ${problem.fields} campos; se esperaban ${problem.expected}, como en la primera.`;
      case "gap":
        return `La línea ${problem.line} de la columna «${problem.column}» ${
          problem.found === "" ? "está vacía" : `contiene «${problem.found}»`
        } donde se esperaba un número${
          problem.others > 0 ? `, y lo mismo ocurre en ${problem.others} líneas más` : ""
        }. Rellena el hueco o quita las líneas.`;
      case "short":
        return `La serie tiene ${problem.rows} filas; para esta ventana hacen falta al menos ${problem.expected}. Elige una ventana menor o un archivo más largo.`;
      case "constant":
        return `La columna «${problem.column}» vale ${problem.value} en todas las líneas: no hay nada que aprender. Elige otra columna.`;
    }
  },
};

export const WORDS = { en: EN, es: ES };
