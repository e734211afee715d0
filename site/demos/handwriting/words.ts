/** What the page says, in both languages. */
export const handwritingWords = {
  en: {
    paper:
      "A sheet with lines, to write on with the mouse or a finger; what the model writes appears behind it",
    begin: "Begin with",
    write: "Write it",
    goOn: "Go on",
    stop: "Stop",
    clear: "Clear",
    neatness: "Neatness",
    shows: "Show where the pen may go",
    hint: "Write on the first line, between the solid line and the dashed one, and pause: the model goes on.",
    figures: (steps: number, milliseconds: string, perSecond: number, down: number) =>
      `${steps} steps of the pen, ${milliseconds} ms each (${perSecond.toLocaleString("en")} per second); ` +
      `the pen stays down with ${down} %`,
  },
  es: {
    paper:
      "Una hoja con renglones para escribir con el ratón o el dedo; lo que escribe el modelo aparece a continuación",
    begin: "Empezar con",
    write: "Escribir",
    goOn: "Continuar",
    stop: "Parar",
    clear: "Borrar",
    neatness: "Pulcritud",
    shows: "Mostrar adónde puede ir la pluma",
    hint:
      "Escribe en el primer renglón, entre la línea continua y la discontinua, y haz una pausa: el modelo continúa.",
    figures: (steps: number, milliseconds: string, perSecond: number, down: number) =>
      `${steps} pasos de la pluma, ${milliseconds} ms cada uno (${
        perSecond.toLocaleString("es")
      } por segundo); ` +
      `la pluma sigue apoyada con un ${down} %`,
  },
};
