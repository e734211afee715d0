/** What happens when the visitor types, writes and stops: one thing at a time, the last one asked for. */
import { computed, type Ref, ref, shallowReactive, shallowRef } from "vue";
import { nextFrame, type PageDevice } from "../support/devices.ts";
import { type Drawing, type TextModel, write, writeAtOnce, type Written } from "./text.ts";
import type { textWords } from "./words.ts";

/** Characters at most of one go, and of a call that makes all at once. */
export const [MOST, AT_ONCE] = [3000, 500];
/** Milliseconds between two pictures, and per character for those who watch. */
const [PICTURE, SLOW] = [12, 40];
/** Of the picture of the hidden state: units, and characters. */
export const [ROWS, COLUMNS] = [48, 64];

/** What the visitor chooses. */
interface Choices {
  readonly prompt: Ref<string>;
  readonly device: Ref<PageDevice>;
  readonly slowly: Ref<boolean>;
  readonly drawing: Drawing;
}

/** The same columns without the first one, and with another at the end. */
function withColumn(before: Float32Array, column: Float32Array): Float32Array {
  return before.map((_, i) => {
    if (i % COLUMNS < COLUMNS - 1) return before[i + 1];
    return column[Math.floor(i / COLUMNS)] ?? 0; // a small model has fewer units
  });
}

export function useWriting({ prompt, device, slowly, drawing }: Choices, words: (typeof textWords)["en"]) {
  const models = shallowReactive<{ shipped?: TextModel; own?: TextModel }>({});
  const chosen = ref<"shipped" | "own">("shipped");
  const model = computed(() => models[chosen.value]);
  const written = ref("");
  const last = shallowRef<Written>();
  const hidden = shallowRef<Float32Array>(new Float32Array(ROWS * COLUMNS));
  const running = ref(false);
  const figure = ref("");
  const failure = ref("");
  let [run, seed] = [0, 1];

  function stop() {
    run++;
    running.value = false;
  }
  /** Runs what takes time; whatever comes later ends it. */
  async function begin(work: (model: TextModel, isLast: () => boolean) => Promise<void>) {
    stop();
    const mine = run;
    failure.value = "";
    if (!model.value) return;
    try {
      await work(model.value, () => mine === run);
    } catch (error) {
      failure.value = error instanceof Error ? error.message : String(error);
    }
    if (mine === run) running.value = false;
  }
  const text = () => prompt.value + written.value;
  const options = (steps: number) => ({ ...drawing, device: device.value, steps, seed });

  /** Shows what may come next. */
  const look = () =>
    begin(async (model, isLast) => {
      for await (const step of write(model, text(), options(1))) if (isLast()) last.value = step;
    });
  /** Writes until it is stopped. */
  const start = () =>
    begin(async (model, isLast) => {
      running.value = true;
      seed++;
      let [count, total, shown] = [0, 0, performance.now()];
      for await (const step of write(model, text(), options(MOST))) {
        if (!isLast()) return;
        written.value += step.character;
        last.value = step;
        hidden.value = withColumn(hidden.value, step.hidden);
        if (++count > 2) total += step.milliseconds; // the first two read the prompt and compile
        if (count > 2) {
          figure.value = words.steps(
            (total / (count - 2)).toFixed(2),
            Math.round(1000 * (count - 2) / total),
          );
        }
        if (!slowly.value && performance.now() - shown < PICTURE) continue;
        await (slowly.value ? new Promise((resolve) => setTimeout(resolve, SLOW)) : nextFrame());
        shown = performance.now();
        if (!isLast()) return;
      }
    });
  /** Writes some characters in one call. */
  const atOnce = () =>
    begin(async (model, isLast) => {
      running.value = true;
      seed++;
      const before = text();
      await writeAtOnce(model, before, options(AT_ONCE)); // compiles; what comes out is the same
      await nextFrame();
      const began = performance.now();
      const more = await writeAtOnce(model, before, options(AT_ONCE));
      const milliseconds = performance.now() - began;
      if (!isLast()) return;
      written.value += more;
      figure.value = words.inOneCall(
        AT_ONCE,
        milliseconds.toFixed(0),
        Math.round(1000 * AT_ONCE / milliseconds),
      );
    });
  function clear() {
    [written.value, figure.value, hidden.value, seed] = ["", "", new Float32Array(ROWS * COLUMNS), 1];
    return look();
  }
  return {
    models,
    chosen,
    model,
    written,
    last,
    hidden,
    running,
    figure,
    failure,
    stop,
    look,
    start,
    atOnce,
    clear,
  };
}
