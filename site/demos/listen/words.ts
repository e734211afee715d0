/** The words of the demo. */
export const WORDS = {
  en: {
    play: "Play the recording",
    microphone: "Use the microphone",
    stop: "Stop",
    starting: "Starting …",
    idle: "Nothing is heard yet.",
    voice: "A voice",
    noVoice: "No voice",
    recording: "The recording is playing. Shaded: where somebody speaks.",
    listening: "The microphone is on. Nothing leaves this page.",
    picture: "What was heard over 13 seconds: loudness, energy in 32 bands, and the probability of a voice",
    loudness: "Loudness",
    bands: "Bands",
    probability: "Probability of a voice",
    time: (milliseconds: string, share: string) =>
      `${milliseconds} ms per block of 8 ms (${share}% of its time)`,
    late: (blocks: number) => `${blocks} late`,
    result: (found: number, mistaken: number) =>
      `Taken for a voice: ${found}% of the blocks in which somebody speaks, ${mistaken}% of the others.`,
    denied:
      "The browser may not use the microphone: allow it for this page in the browser's settings, or play the recording.",
    missing: "There is no microphone: connect one, or play the recording.",
    failed: (reason: string) => `This did not work: ${reason}`,
  },
  es: {
    play: "Reproducir la grabación",
    microphone: "Usar el micrófono",
    stop: "Parar",
    starting: "Empezando…",
    idle: "Todavía no se oye nada.",
    voice: "Hay voz",
    noVoice: "No hay voz",
    recording: "Suena la grabación. Sombreado: donde alguien habla.",
    listening: "El micrófono está encendido. Nada sale de esta página.",
    picture: "Lo oído en 13 segundos: volumen, energía en 32 bandas y probabilidad de voz",
    loudness: "Volumen",
    bands: "Bandas",
    probability: "Probabilidad de voz",
    time: (milliseconds: string, share: string) =>
      `${milliseconds} ms por bloque de 8 ms (el ${share} % de su tiempo)`,
    late: (blocks: number) => `${blocks} con retraso`,
    result: (found: number, mistaken: number) =>
      `Tomado por voz: el ${found} % de los bloques en los que alguien habla y el ${mistaken} % de los demás.`,
    denied:
      "El navegador no puede usar el micrófono: permítelo para esta página en sus ajustes o reproduce la grabación.",
    missing: "No hay ningún micrófono: conecta uno o reproduce la grabación.",
    failed: (reason: string) => `No ha funcionado: ${reason}`,
  },
} as const;
