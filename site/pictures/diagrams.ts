/**
 * The diagrams of the guide but those of masks. Every function that is exported draws one, with its words in the language
 * that is asked for.
 */
import { type Arrow, type Box, type Diagram, type Say, subscript } from "./diagram.ts";

/** How often a thing is drawn, and what is drawn the n-th time, counted from 1. */
function times<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index + 1));
}

/** A model as a chain: its layers, and the shapes between them. */
export function firstModel(say: Say): Diagram {
  const layers = ["embedding", "lstm", "dense"];
  const shapes = [
    say("words: int32 [batch, time]", "palabras: int32 [lote, tiempo]"),
    say("a vector for each: [batch, time, 64]", "un vector para cada una: [lote, tiempo, 64]"),
    say("the last output: [batch, 128]", "la última salida: [lote, 128]"),
    say("ten numbers: [batch, 10]", "diez números: [lote, 10]"),
  ];
  const row = (index: number) => 3.5 - index;
  const boxes: [string, Box][] = [
    ...shapes.map((text, index): [string, Box] => [
      `shape${index}`,
      {
        at: [0, row(index) + 0.5],
        kind: index === 0 ? "input" : index === 3 ? "output" : "state",
        text,
        width: 3.9,
        height: 0.34,
      },
    ]),
    ...layers.map((
      text,
      index,
    ): [string, Box] => [text, { at: [0, row(index)], kind: "cell", text, width: 1.4, height: 0.29 }]),
  ];
  const arrows = layers.flatMap((layer, index): Arrow[] => [
    { from: `shape${index}`, to: layer },
    { from: layer, to: `shape${index + 1}` },
  ]);
  return {
    title: say("The shapes between the layers of a model", "Las formas entre las capas de un modelo"),
    boxes: Object.fromEntries(boxes),
    arrows,
    grid: [84, 104],
  };
}

/** The columns of a cell that is drawn once for each step. */
function unrolledColumns(
  count: number,
  [column, row]: readonly [number, number],
  cell: string,
): { boxes: [string, Box][]; arrows: Arrow[] } {
  return {
    boxes: times(count, (n): [string, Box][] => [
      [`x${n}`, { at: [column + n, row], kind: "input", text: `x${subscript(n)}` }],
      [`cell${n}`, { at: [column + n, row + 1], kind: "cell", text: cell }],
      [`y${n}`, { at: [column + n, row + 2], kind: "output", text: `y${subscript(n)}` }],
    ]).flat(),
    arrows: times(count, (n): Arrow[] => [
      { from: `x${n}`, to: `cell${n}` },
      { from: `cell${n}`, to: `y${n}` },
      ...(n < count ? [{ from: `cell${n}`, to: `cell${n + 1}` }] : []),
    ]).flat(),
  };
}

/** The cell with its loop, and the same for each step. */
export function unrolled(say: Say): Diagram {
  const cell = say("cell", "celda");
  const { boxes, arrows } = unrolledColumns(4, [0, 0], cell);
  const loop: [string, Box][] = [
    ["x", { at: [1, 4], kind: "input", text: "x" }],
    ["cell", { at: [1, 5], kind: "cell", text: cell }],
    ["y", { at: [1, 6], kind: "output", text: "y" }],
    ["state", { at: [2.75, 5], kind: "state", text: say("state", "estado"), width: 0.8 }],
    ["same", {
      at: [3.2, 3.4],
      kind: "text",
      text: say("the same,\nstep by step", "lo mismo,\npaso a paso"),
      width: 1.4,
    }],
    ["begin", { at: [0, 1], kind: "state", text: "0", width: 0.5 }],
    ["end", { at: [5, 1], kind: "state", text: say("state", "estado"), width: 0.8 }],
  ];
  return {
    title: say("A cell, and the same cell step by step", "Una celda y la misma celda paso a paso"),
    boxes: Object.fromEntries([...loop, ...boxes]),
    arrows: [
      { from: "x", to: "cell" },
      { from: "cell", to: "y" },
      { from: "cell:ne", to: "state:nw" },
      { from: "state:sw", to: "cell:se" },
      { from: "begin", to: "cell1" },
      { from: "cell4", to: "end" },
      ...arrows,
    ],
    grid: [76, 62],
  };
}

/** Two layers of which one begins where the other ended. */
export function encoderDecoder(say: Say): Diagram {
  const boxes: [string, Box][] = [
    ["encoder", { at: [2, 1.8], kind: "text", text: say("encoder", "codificador"), width: 2 }],
    ["decoder", { at: [5.1, 1.8], kind: "text", text: say("decoder", "decodificador"), width: 2 }],
    ["state", { at: [3.8, 1], kind: "state", text: "h, c", width: 0.62 }],
    ["out", { at: [6.6, 2], kind: "output", text: say("output", "salida"), width: 0.95 }],
    ...times(3, (n): [string, Box][] => [
      [`s${n}`, { at: [n, 0], kind: "input", text: say(`word ${n}`, `pal. ${n}`), width: 0.9 }],
      [`e${n}`, { at: [n, 1], kind: "cell", text: "LSTM", width: 0.8 }],
      [`t${n}`, { at: [3.6 + n, 0], kind: "input", text: say(`word ${n}`, `pal. ${n}`), width: 0.9 }],
      [`d${n}`, { at: [3.6 + n, 1], kind: "cell", text: "LSTM", width: 0.8 }],
    ]).flat(),
  ];
  const arrows: Arrow[] = [
    ...times(3, (n): Arrow[] => [{ from: `s${n}`, to: `e${n}` }, { from: `t${n}`, to: `d${n}` }]).flat(),
    { from: "e1", to: "e2" },
    { from: "e2", to: "e3" },
    { from: "e3", to: "state" },
    { from: "state", to: "d1" },
    { from: "d1", to: "d2" },
    { from: "d2", to: "d3" },
    { from: "d3", to: "out" },
  ];
  return {
    title: say("An encoder and a decoder", "Un codificador y un decodificador"),
    boxes: Object.fromEntries(boxes),
    arrows,
    grid: [68, 58],
  };
}

/** An LSTM with a GRU on top, as one cell. */
export function stackedCells(say: Say): Diagram {
  const boxes: [string, Box][] = times(3, (n): [string, Box][] => [
    [`whole${n}`, { at: [n, 1.5], kind: "frame", width: 0.92, height: 1.9 }],
    [`x${n}`, { at: [n, 0], kind: "input", text: `x${subscript(n)}` }],
    [`lstm${n}`, { at: [n, 1], kind: "cell", text: "LSTM" }],
    [`gru${n}`, { at: [n, 2], kind: "cell", text: "GRU" }],
    [`y${n}`, { at: [n, 3], kind: "output", text: `y${subscript(n)}` }],
  ]).flat();
  const arrows: Arrow[] = times(3, (n): Arrow[] => [
    { from: `x${n}`, to: `lstm${n}` },
    { from: `lstm${n}`, to: `gru${n}` },
    { from: `gru${n}`, to: `y${n}` },
    ...(n < 3 ? [{ from: `lstm${n}`, to: `lstm${n + 1}` }, { from: `gru${n}`, to: `gru${n + 1}` }] : []),
  ]).flat();
  return {
    title: say("Two cells that are one", "Dos celdas que son una"),
    boxes: Object.fromEntries(boxes),
    arrows,
    grid: [96, 62],
  };
}

/** A long sequence that is fed in pieces. */
export function chunks(say: Say): Diagram {
  const boxes: [string, Box][] = times(3, (n): [string, Box][] => [
    [`x${n}`, {
      at: [n, 0],
      kind: "input",
      text: say(`steps ${10 * n - 9}–${10 * n}`, `pasos ${10 * n - 9}–${10 * n}`),
      width: 0.8,
    }],
    [`layer${n}`, { at: [n, 1], kind: "cell", text: say(`call ${n}`, `llamada ${n}`), width: 0.6 }],
    [`y${n}`, { at: [n, 2], kind: "output", text: say("outputs", "salidas"), width: 0.6 }],
    ...(n < 3
      ? [
        [`s${n}`, { at: [n + 0.5, 1.28], kind: "text", text: say("state", "estado"), width: 0.5 }] as [
          string,
          Box,
        ],
      ]
      : []),
  ]).flat();
  const arrows: Arrow[] = times(3, (n): Arrow[] => [
    { from: `x${n}`, to: `layer${n}` },
    { from: `layer${n}`, to: `y${n}` },
    ...(n < 3 ? [{ from: `layer${n}`, to: `layer${n + 1}` }] : []),
  ]).flat();
  return {
    title: say("A sequence in chunks", "Una secuencia por partes"),
    boxes: Object.fromEntries(boxes),
    arrows,
    grid: [146, 62],
  };
}

/** Two layers over the same steps, one in each direction. */
export function bidirectional(say: Say): Diagram {
  const boxes: [string, Box][] = [
    ...times(4, (n): [string, Box][] => [
      [`x${n}`, { at: [n, 0], kind: "input", text: `x${subscript(n)}` }],
      [`f${n}`, { at: [n + 0.16, 1], kind: "cell", text: "→", width: 0.6 }],
      [`b${n}`, { at: [n - 0.16, 2], kind: "state", text: "←", width: 0.6 }],
      [`y${n}`, { at: [n, 3], kind: "output", text: `y${subscript(n)}` }],
    ]).flat(),
  ];
  const arrows: Arrow[] = times(4, (n): Arrow[] => [
    { from: `x${n}`, to: `f${n}` },
    { from: `x${n}`, to: `b${n}` },
    { from: `f${n}`, to: `y${n}` },
    { from: `b${n}`, to: `y${n}` },
    ...(n < 4 ? [{ from: `f${n}`, to: `f${n + 1}` }, { from: `b${n + 1}`, to: `b${n}` }] : []),
  ]).flat();
  return {
    title: say("Forwards and backwards", "Hacia delante y hacia atrás"),
    boxes: Object.fromEntries(boxes),
    arrows,
    grid: [92, 66],
  };
}

/** What becomes of any cell. */
export function onePath(say: Say): Diagram {
  const boxes: Record<string, Box> = {
    lstm: { at: [1, 4], kind: "input", text: "LSTM" },
    gru: { at: [2, 4], kind: "input", text: "GRU" },
    own: { at: [3, 4], kind: "input", text: say("your cell", "tu celda"), width: 0.86 },
    program: {
      at: [2, 3],
      kind: "state",
      text: say("Program: traced once", "Program: trazado una vez"),
      width: 2.4,
    },
    gradient: {
      at: [2, 2],
      kind: "cell",
      text: say("differentiated, then optimized", "derivado y después optimizado"),
      width: 2.6,
    },
    wasm: { at: [1, 1], kind: "output", text: "WebAssembly", width: 1.06 },
    wgsl: { at: [2, 1], kind: "output", text: "WGSL", width: 0.7 },
    c: { at: [3, 1], kind: "output", text: "C", width: 0.5 },
  };
  const arrows: Arrow[] = [
    { from: "lstm", to: "program" },
    { from: "gru", to: "program" },
    { from: "own", to: "program" },
    { from: "program", to: "gradient" },
    { from: "gradient", to: "wasm" },
    { from: "gradient", to: "wgsl" },
    { from: "gradient", to: "c" },
  ];
  return {
    title: say("One path for every cell", "Un solo camino para toda celda"),
    boxes,
    arrows,
    grid: [116, 62],
  };
}

/** A cell of trees. */
export function nestedCell(say: Say): Diagram {
  const boxes: Record<string, Box> = {
    video: {
      at: [1, 0],
      kind: "input",
      text: say("video\n[batch, 8, 8, 3]", "video\n[lote, 8, 8, 3]"),
      width: 1.5,
      height: 0.76,
    },
    audio: {
      at: [3, 0],
      kind: "input",
      text: say("audio\n[batch, 16]", "audio\n[lote, 16]"),
      width: 1.5,
      height: 0.76,
    },
    before: {
      at: [0, 1.4],
      kind: "state",
      text: say("state\n{ scene, voice }", "estado\n{ scene, voice }"),
      width: 1.5,
      height: 0.76,
    },
    cell: { at: [2, 1.4], kind: "cell", text: say("cell", "celda"), width: 1.2, height: 0.76 },
    after: {
      at: [4, 1.4],
      kind: "state",
      text: say("next state\n{ scene, voice }", "nuevo estado\n{ scene, voice }"),
      width: 1.5,
      height: 0.76,
    },
    speaker: {
      at: [1, 2.8],
      kind: "output",
      text: say("speaker\n[batch, 4]", "speaker\n[lote, 4]"),
      width: 1.5,
      height: 0.76,
    },
    word: {
      at: [3, 2.8],
      kind: "output",
      text: say("word\n[batch, 1000]", "word\n[lote, 1000]"),
      width: 1.5,
      height: 0.76,
    },
  };
  const arrows: Arrow[] = ["video", "audio", "before"].map((from) => ({ from, to: "cell" }));
  return {
    title: say("A cell of trees", "Una celda de árboles"),
    boxes,
    arrows: [...arrows, ...["after", "speaker", "word"].map((to) => ({ from: "cell", to }))],
    grid: [80, 64],
  };
}

/** What moves out of the loop. */
export function hoisted(say: Say): Diagram {
  const boxes: Record<string, Box> = {
    written: { at: [1, 3.9], kind: "text", text: say("as it is written", "como se escribe"), width: 2 },
    loop1: { at: [1, 2.1], kind: "frame", width: 2.9, height: 2.7 },
    each1: { at: [1, 3.15], kind: "text", text: say("for each step", "para cada paso"), width: 2 },
    gate1: { at: [0.1, 2.4], kind: "cell", text: "x · G" },
    kernel1: { at: [1, 2.4], kind: "cell", text: "x · W" },
    recurrent1: { at: [1.9, 2.4], kind: "cell", text: "h · U" },
    rest1: { at: [1, 1.25], kind: "state", text: "σ, tanh, ⊙", width: 1.4 },
    compiled: { at: [3.85, 4.9], kind: "text", text: say("as it is compiled", "como se compila"), width: 2 },
    once: {
      at: [3.85, 4.1],
      kind: "output",
      text: say("x · [G W]\nfor all steps at once", "x · [G W]\nde todos los pasos"),
      width: 2.1,
      height: 0.8,
    },
    loop2: { at: [3.85, 2.1], kind: "frame", width: 2.1, height: 2.7 },
    each2: { at: [3.85, 3.15], kind: "text", text: say("for each step", "para cada paso"), width: 2 },
    recurrent2: { at: [3.85, 2.4], kind: "cell", text: "h · U" },
    rest2: { at: [3.85, 1.25], kind: "state", text: "σ, tanh, ⊙", width: 1.4 },
  };
  const arrows: Arrow[] = [
    { from: "gate1", to: "rest1" },
    { from: "kernel1", to: "rest1" },
    { from: "recurrent1", to: "rest1" },
    { from: "once", to: "loop2" },
    { from: "recurrent2", to: "rest2" },
  ];
  return {
    title: say("Products leave the loop", "Los productos salen del bucle"),
    boxes,
    arrows,
    grid: [84, 62],
  };
}
