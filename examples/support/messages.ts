/** Short messages that are made up, each letter with its tag: the data of tagging.ts. */
import { type Random, randomFrom } from "./program.ts";

/** What a letter can belong to; `other` is everything else. */
export const TAGS = ["other", "name", "street", "date", "sum"] as const;
/** One of {@linkcode TAGS}. */
export type Tag = (typeof TAGS)[number];

/** A message and the number of the tag of each of its letters. */
export interface Message {
  readonly text: string;
  readonly tags: readonly number[];
}

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September"];
/** Words that are names, streets and months alike, so that only what stands around them says which. */
const AMBIGUOUS = ["May", "April", "June", "August", "Park", "Bell", "King"];
const CONSONANTS = "b d f g k l m n p r s t v z br st tr".split(" ");

/** A word that nobody has seen: syllables. */
function word(random: Random): string {
  const syllables = Array.from(
    { length: 2 + random.below(2) },
    () => random.pick(CONSONANTS) + random.pick([..."aeiou"]),
  );
  const joined = syllables.join("") + random.pick(["", "n", "r", "s"]);
  return joined[0].toUpperCase() + joined.slice(1);
}

const either = (random: Random) => random.uniform() < 0.3 ? random.pick(AMBIGUOUS) : word(random);

/** How the parts with a tag are written. */
const PARTS: { readonly [T in Exclude<Tag, "other">]: (random: Random) => string } = {
  name: (random) => `${either(random)} ${either(random)}`,
  street: (random) => `${either(random)} ${random.pick(["Street", "Road", "Lane"])} ${1 + random.below(99)}`,
  date: (random) =>
    random.pick([
      `${1 + random.below(28)} ${random.pick(MONTHS)}`,
      `${random.pick(MONTHS)} ${1990 + random.below(40)}`,
      random.pick(MONTHS),
    ]),
  sum: (random) => random.pick([`${1 + random.below(990)} euros`, `$${1 + random.below(990)}`]),
};

const TEMPLATES = [
  "{name} owes us {sum} since {date}",
  "please call {name} in {date}, it is about {street}",
  "{street} was sold to {name} for {sum}",
  "in {date} {name} moved to {street}",
  "we paid {sum} to {name} on {date}",
  "{name} and {name} meet at {street}",
  "{name} {date} {sum}",
  "{street}, {name}, {date}",
  "{name}, {street}: {sum}",
  "{date} {street} {name}",
  "{sum} {name} {date}",
];

/** A text in which some letters are wrong. */
const mistyped = (random: Random, text: string) =>
  text.replace(/[a-z]/g, (letter) => random.uniform() < 0.02 ? random.pick([..."aeionrst"]) : letter);

function makeMessage(random: Random): Message {
  const parts = random.pick(TEMPLATES).split(/[{}]/).map((part, i) => {
    const tag = i % 2 === 0 ? "other" : part as Exclude<Tag, "other">; // the templates name tags in braces
    const text = mistyped(random, tag === "other" ? part : PARTS[tag](random));
    return { text, tags: Array<number>(text.length).fill(TAGS.indexOf(tag)) };
  });
  return { text: parts.map(({ text }) => text).join(""), tags: parts.flatMap(({ tags }) => tags) };
}

/** So many messages from a seed. */
export function makeMessages(count: number, seed: number): Message[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => makeMessage(random));
}

/** The parts with a tag, as `tag from to`, so that two lists of them can be compared. */
export function partsOf(tags: ArrayLike<number>): string[] {
  const parts: string[] = [];
  for (let from = 0, to = 0; from < tags.length; from = to) {
    while (to < tags.length && tags[to] === tags[from]) to++;
    if (tags[from] > 0) parts.push(`${TAGS[tags[from]]} ${from} ${to}`);
  }
  return parts;
}
