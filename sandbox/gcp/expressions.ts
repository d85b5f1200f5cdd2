/**
 * The boolean language that Google's list filters share: AND (also by standing side by side), OR, NOT, `-` and
 * parentheses. OR binds tighter than AND. https://google.aip.dev/160
 */

export type Test<T> = (resource: T) => boolean;

/** Reads one comparison at the beginning of `rest`: its test and how long it is; null when there is none. */
export type Leaf<T> = (rest: string) => { test: Test<T>; length: number } | null;

const WORD = /\s*(?:([()])|(AND|OR|NOT)\b|(-)(?=[("A-Za-z]))/y;

/** A function that says whether something matches. Throws what `wrong` makes when `text` is no expression. */
export function parseExpression<T>(text: string, leaf: Leaf<T>, wrong: () => Error): Test<T> {
  if (text.trim() === '') return () => true;
  let at = 0;
  /** The next parenthesis, word or minus, taken only when it is `wanted`. */
  const take = (...wanted: string[]): string | null => {
    WORD.lastIndex = at;
    const match = WORD.exec(text);
    const word = match?.[1] ?? match?.[2] ?? match?.[3];
    if (!match || word === undefined || !wanted.includes(word)) return null;
    at += match[0].length;
    return word;
  };
  const atEnd = () => /^\s*(\)|$)/.test(text.slice(at));
  const one = (): Test<T> => {
    if (take('NOT', '-')) {
      const inner = one();
      return (resource) => !inner(resource);
    }
    if (take('(')) {
      const inner = all();
      if (!take(')')) throw wrong();
      return inner;
    }
    at += /^\s*/.exec(text.slice(at))?.[0].length ?? 0;
    const found = /^(AND|OR)\b/.test(text.slice(at)) ? null : leaf(text.slice(at));
    if (!found) throw wrong();
    at += found.length;
    return found.test;
  };
  const any = (): Test<T> => {
    const parts = [one()];
    while (take('OR')) parts.push(one());
    return (resource) => parts.some((test) => test(resource));
  };
  const all = (): Test<T> => {
    const parts = [any()];
    while (take('AND') || !atEnd()) parts.push(any());
    return (resource) => parts.every((test) => test(resource));
  };
  const test = all();
  if (at < text.trimEnd().length) throw wrong();
  return test;
}

/** A value without its quotes. */
export function unquote(text: string): string {
  return /^["']/.test(text) ? text.slice(1, -1).replaceAll(/\\(.)/g, '$1') : text;
}
