/** A mathematical function as the text of a language, from the language's form of each word. */
import {
  type Expression,
  isConstant,
  type MathFunction,
  readsOf,
  type Type,
  type Word,
} from "./vocabulary.ts";

/** The language's text for a word; `numbers` are those of the expression. */
export interface Phrase {
  readonly say: (operands: readonly string[], numbers: readonly number[]) => string;
  /** Functions that it calls. */
  readonly calls?: readonly string[];
}

/** A language whose programs are text. */
export interface Language {
  readonly phrases: { readonly [W in Exclude<Word, "parameter">]: Phrase };
  /** The statement that binds a value to a name. */
  readonly declare: (name: string, value: string, type: Type) => string;
  /** Words that cannot be names; default: the functions use none of these. */
  readonly reserved?: readonly string[];
}

/** The body of a function. */
export interface Body {
  readonly statements: readonly string[];
  readonly result: string;
  /** The functions that it calls. */
  readonly calls: readonly string[];
}

/** Writes the body: values that have a name, or are read more than once, are declared; others are inlined. */
export function bodyOf(
  { parameters, result }: MathFunction,
  { phrases, declare, reserved = [] }: Language,
): Body {
  const reads = readsOf(result);
  const statements: string[] = [], calls = new Set<string>(), taken = new Map<string, number>();
  const written = new Map<Expression, string>();
  const newName = (name: string): string => {
    const count = taken.get(name) ?? 0;
    taken.set(name, count + 1);
    return count === 0 ? name : newName(`${name}${count}`);
  };
  for (const word of reserved) taken.set(word, 1);
  parameters.forEach(newName);
  const write = (expression: Expression): string => {
    const known = written.get(expression);
    if (known !== undefined) return known;
    const { word, operands, numbers, name } = expression;
    if (word === "parameter") return parameters[numbers[0]];
    const phrase = phrases[word];
    phrase.calls?.forEach((called) => calls.add(called));
    const text = phrase.say(operands.map(write), numbers);
    if (isConstant(expression) || (name === undefined && reads.get(expression) === 1)) return text;
    const declared = newName(name ?? "v");
    statements.push(declare(declared, text, expression.type));
    written.set(expression, declared);
    return declared;
  };
  const text = write(result);
  return { statements, result: text, calls: [...calls] };
}
