/** Precision, recall and F1, from what was predicted. */

/** How well something is found, each number 0 to 1. */
export interface Score {
  /** How much of what was found is right. */
  readonly precision: number;
  /** How much of what is there was found. */
  readonly recall: number;
  /** Their harmonic mean. */
  readonly f1: number;
}

/** The score of so many right ones, of so many found, where so many are there; 0 where nothing was right. */
export function scoreOf(right: number, found: number, there: number): Score {
  return {
    precision: right / Math.max(1, found),
    recall: right / Math.max(1, there),
    f1: 2 * right / Math.max(1, found + there),
  };
}

/** The score of each class, from the class of each sample and the one that was predicted. */
export function scoresOf(labels: readonly number[], predicted: readonly number[], classes: number): Score[] {
  return Array.from({ length: classes }, (_, which) => {
    const count = (list: readonly number[]) => list.filter((value) => value === which).length;
    const right = labels.filter((label, i) => label === which && predicted[i] === which).length;
    return scoreOf(right, count(predicted), count(labels));
  });
}

/** The mean F1, in which a rare class counts as much as a common one. */
export function meanF1(scores: readonly Score[]): number {
  return scores.reduce((sum, { f1 }) => sum + f1, 0) / scores.length;
}

/** A score as text. */
export function printScore({ precision, recall, f1 }: Score): string {
  return `precision ${precision.toFixed(3)}  recall ${recall.toFixed(3)}  F1 ${f1.toFixed(3)}`;
}
