/** The editor, CodeMirror: a page loads it after it is drawn. */
import { javascriptLanguage } from "@codemirror/lang-javascript";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { oneDark } from "@codemirror/theme-one-dark";
import { highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { EditorView, minimalSetup } from "codemirror";
import type { Failure } from "./messages.ts";

/** What the page hears of an editor. */
export interface EditorEvents {
  readonly changed: (text: string) => void;
  readonly run: () => void;
  /** Escape: the focus leaves. */
  readonly left: () => void;
}

/** An editor in the page. */
export interface Editor extends Disposable {
  setText(text: string): void;
  setDark(isDark: boolean): void;
  /** Marks the line of a failure, and no other. */
  mark(failure: Failure | undefined): void;
}

// The page's own colors behind the text: those of the theme are too light for its comments to be read.
const plain = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "var(--vp-c-bg)" },
  ".cm-scroller": { fontFamily: "var(--vp-font-family-mono)", lineHeight: "1.5" },
  ".cm-gutters": { backgroundColor: "var(--vp-c-bg)", color: "var(--vp-c-text-2)", border: "none" },
});
const darker = {
  "&": { backgroundColor: "var(--vp-c-bg)" },
  ".cm-activeLine": { backgroundColor: "transparent" },
};
const dark = [EditorView.theme(darker, { dark: true }), oneDark];

/** Makes an editor inside an element. */
export function createEditor(parent: HTMLElement, text: string, label: string, events: EditorEvents): Editor {
  const theme = new Compartment();
  const run = () => {
    events.run();
    return true;
  };
  const leave = () => {
    events.left();
    return true;
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        Prec.highest(keymap.of([{ key: "Mod-Enter", run }, { key: "Ctrl-Enter", run }])),
        Prec.highest(plain),
        // Not all that the editor can do: searching and completing would be a fifth of a first load.
        minimalSetup,
        [lineNumbers(), highlightActiveLine(), highlightActiveLineGutter(), EditorView.lineWrapping],
        // After what gives up a selection; Tab is not taken, so that the focus can leave by it, too.
        keymap.of([{ key: "Escape", run: leave }]),
        javascriptLanguage,
        lintGutter(),
        theme.of([]),
        EditorView.contentAttributes.of({ "aria-label": label }),
        EditorView.updateListener.of(({ docChanged, state }) => {
          if (docChanged) events.changed(state.doc.toString());
        }),
      ],
    }),
  });
  return {
    setText: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    setDark: (isDark) => view.dispatch({ effects: theme.reconfigure(isDark ? dark : []) }),
    mark(failure) {
      const { doc } = view.state;
      if (failure?.line === undefined || failure.line > doc.lines) {
        view.dispatch(setDiagnostics(view.state, []));
        return;
      }
      const { from, to } = doc.line(failure.line);
      const start = Math.min(from + (failure.column ?? 1) - 1, to);
      const diagnostic = {
        from: start,
        to: Math.max(start, to),
        severity: "error" as const,
        message: failure.message,
      };
      view.dispatch(setDiagnostics(view.state, [diagnostic]), {
        effects: EditorView.scrollIntoView(start, { y: "center" }),
      });
    },
    [Symbol.dispose]: () => view.destroy(),
  };
}
