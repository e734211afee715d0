/** What the page says, in both languages. */
export const textWords = {
  en: {
    model: "Model",
    shipped: "Botchan",
    own: "your text",
    prompt: "Prompt",
    firstPrompt: "The principal of the school",
    temperature: "Temperature",
    topK: "top K",
    topP: "top P",
    slowly: "Slowly, to watch",
    write: "Write",
    stop: "Stop",
    clear: "Clear",
    atOnce: (count: number) => `${count} at once`,
    next: "What may come next",
    space: "space",
    newLine: "new line",
    hidden: "The hidden state",
    hiddenLabel:
      "The hidden state as colors: a row for each of 48 units, a column for each of the last 64 characters",
    steps: (milliseconds: string, perSecond: number) =>
      `${milliseconds} ms per character, ${perSecond.toLocaleString("en")} characters per second`,
    inOneCall: (count: number, milliseconds: string, perSecond: number) =>
      `${count} characters in one call: ${milliseconds} ms, ${
        perSecond.toLocaleString("en")
      } characters per second`,
    page: "What was written",
    hint: "The bars follow the prompt as you type.",
    trainTitle: "Train it on a text of your own",
    paste: "A text, at least a page; what you paste stays in this page",
    chapter: "Take a chapter of Botchan",
    train: "Train",
    lossLabel: "The loss of each training step",
    loss: "loss",
    progress: (step: number, steps: number, loss: string, perSecond: number) =>
      `step ${step} of ${steps}, loss ${loss}; ${perSecond.toLocaleString("en")} characters read per second`,
    samples: "What it writes meanwhile",
    untrained: "600 steps, however long the text is; stop earlier if you like what it writes.",
    done: "It is your model now: choose it above, and let it write.",
  },
  es: {
    model: "Modelo",
    shipped: "Botchan",
    own: "tu texto",
    prompt: "Comienzo",
    firstPrompt: "The principal of the school",
    temperature: "Temperatura",
    topK: "top K",
    topP: "top P",
    slowly: "Despacio, para mirar",
    write: "Escribir",
    stop: "Parar",
    clear: "Borrar",
    atOnce: (count: number) => `${count} de una vez`,
    next: "Lo que puede seguir",
    space: "espacio",
    newLine: "salto de línea",
    hidden: "El estado oculto",
    hiddenLabel:
      "El estado oculto en colores: una fila por cada una de 48 unidades y una columna por cada uno de los últimos 64 caracteres",
    steps: (milliseconds: string, perSecond: number) =>
      `${milliseconds} ms por carácter, ${perSecond.toLocaleString("es")} caracteres por segundo`,
    inOneCall: (count: number, milliseconds: string, perSecond: number) =>
      `${count} caracteres en una llamada: ${milliseconds} ms, ${
        perSecond.toLocaleString("es")
      } caracteres por segundo`,
    page: "Lo escrito",
    hint: "Las barras siguen el comienzo mientras lo escribes.",
    trainTitle: "Entrénalo con un texto tuyo",
    paste: "Un texto, al menos una página; lo que pegues no sale de aquí",
    chapter: "Tomar un capítulo de Botchan",
    train: "Entrenar",
    lossLabel: "La pérdida de cada paso de entrenamiento",
    loss: "pérdida",
    progress: (step: number, steps: number, loss: string, perSecond: number) =>
      `paso ${step} de ${steps}, pérdida ${loss}; ${
        perSecond.toLocaleString("es")
      } caracteres leídos por segundo`,
    samples: "Lo que escribe mientras tanto",
    untrained: "600 pasos, sea cual sea la longitud del texto; páralo antes si te gusta lo que escribe.",
    done: "Ya es tu modelo: elígelo arriba y deja que escriba.",
  },
};
