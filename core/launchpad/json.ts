/**
 * JSON that loses nothing on its way between BSON and Python: 1 stays an integer and 1.0 a float, integers of 64 bits keep
 * every digit, and NaN and the infinities are written as Python's json module writes and reads them.
 */
import { Double, Long } from 'bson';
import { BorealisError } from '../errors.ts';
import { type Doc, isDoc, isDouble, isInt32, isLong, setKey } from './values.ts';

/** Python's `json.dumps` of a value. Dates become ISO strings, ObjectIds their 24 hex digits. `indent` as in Python. */
export function toJson(value: unknown, indent = 0, depth = 0): string {
  if (value === null || value === undefined) return 'null';
  if (isInt32(value)) return String(value.value);
  if (isDouble(value)) return float(value.value);
  if (isLong(value)) return value.toString();
  switch (typeof value) {
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'number':
      return Number.isInteger(value) ? integer(value) : float(value);
    case 'string':
      return JSON.stringify(value);
  }
  if (value instanceof Date) return JSON.stringify(value.toISOString().replace('Z', ''));
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const items = Array.isArray(value)
    ? value.map((item) => toJson(item, indent, depth + 1))
    : isDoc(value)
      ? Object.entries(value)
          .filter(([, inner]) => inner !== undefined)
          .map(([key, inner]) => `${JSON.stringify(key)}: ${toJson(inner, indent, depth + 1)}`)
      : null;
  if (items === null) return JSON.stringify(String(value));
  if (items.length === 0) return `${open}${close}`;
  if (indent === 0) return `${open}${items.join(', ')}${close}`;
  const pad = ' '.repeat(indent * (depth + 1));
  return `${open}\n${pad}${items.join(`,\n${pad}`)}\n${' '.repeat(indent * depth)}${close}`;
}

const integer = (value: number) => (Number.isSafeInteger(value) ? String(value) : BigInt(value).toString());

function float(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const WORDS: Record<string, unknown> = {
  true: true,
  false: false,
  null: null,
  NaN: new Double(Number.NaN),
  Infinity: new Double(Number.POSITIVE_INFINITY),
  '-Infinity': new Double(Number.NEGATIVE_INFINITY),
};
const WORD = /true|false|null|NaN|-?Infinity/y;
const SPACE = /[ \t\r\n]*/y;

/** Behind the quote that ends the string which begins at `start`: the next one that no odd number of backslashes precedes. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at > 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}

/**
 * Reads JSON: integers come back as number (Long beyond 32 bits), everything with a point or an exponent as Double.
 * Throws BorealisError with the place of what is wrong.
 */
export function fromJson(text: string): unknown {
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at += found[0].length;
    return found;
  };
  const wrong = (): never => {
    const line = text.slice(0, at).split('\n').length;
    throw new BorealisError(
      `not JSON: ${at < text.length ? `'${text.slice(at, at + 12)}'` : 'the end'} in line ${line}`,
    );
  };
  // By hand: a regular expression gives up on a text of some megabytes.
  const string = (): string => {
    if (text[at] !== '"') wrong();
    const end = endOfString(text, at);
    try {
      const read = JSON.parse(text.slice(at, end)) as string;
      at = end;
      return read;
    } catch {
      return wrong();
    }
  };
  const value = (): unknown => {
    match(SPACE);
    const first = text[at];
    if (first === '{') {
      at++;
      const doc: Doc = {};
      match(SPACE);
      if (text[at] === '}') at++;
      else
        for (;;) {
          match(SPACE);
          const key = string();
          match(SPACE);
          if (text[at++] !== ':') wrong();
          setKey(doc, key, value());
          match(SPACE);
          const next = text[at++];
          if (next === '}') break;
          if (next !== ',') wrong();
        }
      return doc;
    }
    if (first === '[') {
      at++;
      const list: unknown[] = [];
      match(SPACE);
      if (text[at] === ']') at++;
      else
        for (;;) {
          list.push(value());
          match(SPACE);
          const next = text[at++];
          if (next === ']') break;
          if (next !== ',') wrong();
        }
      return list;
    }
    if (first === '"') return string();
    const word = match(WORD);
    if (word) return WORDS[word[0]];
    const number = match(NUMBER) ?? wrong();
    if (number[1] || number[2]) return new Double(Number(number[0]));
    const whole = Number(number[0]);
    if ((whole | 0) === whole) return whole;
    const exact = BigInt(number[0]);
    return BigInt.asIntN(64, exact) === exact ? Long.fromBigInt(exact) : new Double(whole);
  };
  const result = value();
  match(SPACE);
  if (at < text.length) wrong();
  return result;
}
