/** The diagrams of steps that do not count, and of several sequences in one row. */
import { type Arrow, type Box, type Diagram, type Say, subscript } from "./diagram.ts";

/** A state that passes by what is masked. */
export function maskedSteps(say: Say): Diagram {
  const counts = [true, false, true, true, false];
  const cell = say("cell", "celda");
  const boxes = counts.flatMap((counts, index): [string, Box][] => [
    [`m${index}`, { at: [index, -0.75], kind: "text", text: String(counts), width: 0.8 }],
    [`x${index}`, { at: [index, 0], kind: counts ? "input" : "skipped", text: `x${subscript(index + 1)}` }],
    [`cell${index}`, { at: [index, 1], kind: counts ? "cell" : "skipped", text: counts ? cell : "=" }],
    [`y${index}`, {
      at: [index, 2],
      kind: counts ? "output" : "skipped",
      text: counts ? `y${subscript(index + 1)}` : `y${subscript(index)}`,
    }],
  ]);
  const arrows = counts.flatMap((counts, index): Arrow[] => [
    ...(counts ? [{ from: `x${index}`, to: `cell${index}` }] : []),
    { from: `cell${index}`, to: `y${index}`, dashed: !counts },
    ...(index > 0 ? [{ from: `cell${index - 1}`, to: `cell${index}` }] : []),
  ]);
  return {
    title: say("A mask with holes", "Una máscara con huecos"),
    boxes: Object.fromEntries(boxes),
    arrows,
    grid: [82, 62],
  };
}

/** Several sequences in one row. */
export function resets(say: Say): Diagram {
  const first = [true, false, true, false, false, true, false]; // the first one is where every row begins
  const cell = say("cell", "celda");
  const kinds = ["input", "output", "state"] as const;
  let sequence = -1;
  const boxes = first.flatMap((isFirst, index): [string, Box][] => {
    if (isFirst) sequence++;
    return [
      [`r${index}`, { at: [index, -0.75], kind: "text", text: String(isFirst && index > 0), width: 0.9 }],
      [`x${index}`, { at: [index, 0], kind: kinds[sequence], text: `x${subscript(index + 1)}` }],
      [`cell${index}`, { at: [index, 1], kind: "cell", text: cell, width: 0.76 }],
      ...(isFirst
        ? [
          [`zero${index}`, { at: [index, 2], kind: "skipped", text: "0", width: 0.5, height: 0.46 }] as [
            string,
            Box,
          ],
        ]
        : []),
    ];
  });
  const arrows = first.flatMap((isFirst, index): Arrow[] => [
    { from: `x${index}`, to: `cell${index}` },
    isFirst ? { from: `zero${index}`, to: `cell${index}` } : { from: `cell${index - 1}`, to: `cell${index}` },
  ]);
  return {
    title: say("Three sequences in one row", "Tres secuencias en una fila"),
    boxes: Object.fromEntries(boxes),
    arrows,
    grid: [66, 60],
  };
}
