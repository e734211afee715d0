/** The pages of the site and their names, in the order of the sidebar; each is there in every language. */

export type Language = "en" | "es";

type Words = { readonly [L in Language]: string };

interface Page {
  /** Below the folder of the language, without `.md`. */
  readonly path: string;
  readonly name: Words;
}

interface Group {
  readonly title: Words;
  readonly items: readonly Page[];
}

export const pages: readonly Group[] = [
  {
    title: { en: "Demos", es: "Demostraciones" },
    items: [
      { path: "demos/digit", name: { en: "Draw a digit", es: "Dibuja una cifra" } },
      { path: "demos/cell", name: { en: "Write your own cell", es: "Escribe tu celda" } },
      { path: "demos/text", name: { en: "Text by characters", es: "Texto letra a letra" } },
      { path: "demos/handwriting", name: { en: "Handwriting", es: "Escritura a mano" } },
      { path: "demos/forecast", name: { en: "Forecast", es: "Pronóstico" } },
      { path: "demos/listen", name: { en: "Listen", es: "Escucha" } },
      { path: "demos/benchmark", name: { en: "Benchmark", es: "Comparativa" } },
    ],
  },
  {
    title: { en: "Guide", es: "Guía" },
    items: [
      { path: "guide/getting-started", name: { en: "Getting started", es: "Primeros pasos" } },
      { path: "guide/training", name: { en: "Training", es: "Entrenar" } },
      { path: "guide/keras-guide", name: { en: "Keras's guide to RNNs", es: "La guía de RNN de Keras" } },
      { path: "guide/own-cell", name: { en: "Your own cell", es: "Tu propia celda" } },
      { path: "guide/nested-inputs", name: { en: "Nested inputs", es: "Entradas anidadas" } },
      { path: "guide/lengths-and-masks", name: { en: "Lengths and masks", es: "Longitudes y máscaras" } },
      {
        path: "guide/state-and-streaming",
        name: { en: "State, streams, servers", es: "Estado, flujos y servidores" },
      },
      { path: "guide/audio", name: { en: "Audio", es: "Audio" } },
      { path: "guide/saving-and-formats", name: { en: "Saving and formats", es: "Guardar y formatos" } },
      { path: "guide/performance", name: { en: "Performance and explain", es: "Rendimiento y explain" } },
      { path: "guide/devices", name: { en: "Devices and permissions", es: "Dispositivos y permisos" } },
      { path: "guide/troubleshooting", name: { en: "Troubleshooting", es: "Solución de problemas" } },
    ],
  },
  {
    title: { en: "Coming from", es: "Si vienes de" },
    items: [
      { path: "from/keras", name: { en: "Keras", es: "Keras" } },
      { path: "from/pytorch", name: { en: "PyTorch", es: "PyTorch" } },
      { path: "from/onnx", name: { en: "ONNX", es: "ONNX" } },
      { path: "from/tensorflow-js", name: { en: "TensorFlow.js", es: "TensorFlow.js" } },
    ],
  },
];
