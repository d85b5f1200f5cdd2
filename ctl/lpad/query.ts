/** Queries as people type them for `lpad`: a Python dictionary (`{'state': 'READY', 'x': None}`) or JSON. */
import { Double, Long } from 'bson';
import { UsageError } from '../../core/errors.ts';
import type { Doc } from '../../core/launchpad/index.ts';

const SPACE = /[\s]*/y;
const NUMBER = /[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const WORD = /[A-Za-z_]+/y;
const WORDS: Record<string, unknown> = {
  True: true,
  true: true,
  False: false,
  false: false,
  None: null,
  null: null,
};
const ESCAPES: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  '0': '\0',
  a: '\x07',
  v: '\v',
};

/** Reads a query; `flag` is where it came from, for messages. Throws UsageError when it is no dictionary. */
export function parseQuery(text: string, flag = '-q'): Doc {
  const value = new Literal(text, flag).read();
  if (typeof value !== 'object' || value === null || Array.isArray(value) || '_bsontype' in value)
    throw new UsageError(`${flag} ${text}: a query is a dictionary, such as '{"state": "READY"}'`);
  return value as Doc;
}

class Literal {
  #at = 0;

  constructor(
    readonly text: string,
    readonly flag: string,
  ) {}

  read(): unknown {
    const value = this.#value();
    this.#match(SPACE);
    if (this.#at < this.text.length) this.#fault();
    return value;
  }

  #fault(): never {
    const place = this.text.slice(this.#at, this.#at + 12);
    throw new UsageError(
      `${this.flag} ${this.text}: not a Python dictionary or JSON at ${place ? `'${place}'` : 'its end'}. An example: '{"state": "READY"}'`,
    );
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text);
    if (!found) return null;
    this.#at += found[0].length;
    return found[0];
  }

  #peek(): string | undefined {
    this.#match(SPACE);
    return this.text[this.#at];
  }

  #value(): unknown {
    const first = this.#peek();
    if (first === '{') return this.#dict();
    if (first === '[') return this.#list(']');
    if (first === '(') return this.#list(')');
    if (first === '"' || first === "'") return this.#string();
    const word = this.#match(WORD);
    if (word !== null) {
      if (Object.hasOwn(WORDS, word)) return WORDS[word];
      this.#at -= word.length;
      this.#fault();
    }
    const number = this.#match(NUMBER);
    if (number === null) return this.#fault();
    const digits = number.replaceAll('_', '');
    if (/[.eE]/.test(digits)) return new Double(Number(digits));
    const whole = Number(digits);
    return Number.isSafeInteger(whole) ? whole : Long.fromBigInt(BigInt.asIntN(64, BigInt(digits)));
  }

  #dict(): Doc {
    const dict: Doc = {};
    this.#at++;
    while (this.#peek() !== '}') {
      const key = this.#value();
      if (typeof key !== 'string' && typeof key !== 'number') this.#fault();
      if (this.#peek() !== ':') this.#fault();
      this.#at++;
      dict[String(key)] = this.#value();
      if (this.#peek() === ',') this.#at++;
      else if (this.#peek() !== '}') this.#fault();
    }
    this.#at++;
    return dict;
  }

  #list(close: string): unknown[] {
    const list: unknown[] = [];
    this.#at++;
    while (this.#peek() !== close) {
      list.push(this.#value());
      if (this.#peek() === ',') this.#at++;
      else if (this.#peek() !== close) this.#fault();
    }
    this.#at++;
    return list;
  }

  #string(): string {
    const quote = this.text[this.#at++];
    let value = '';
    for (;;) {
      const char = this.text[this.#at++];
      if (char === undefined) this.#fault();
      if (char === quote) return value;
      if (char !== '\\') {
        value += char;
        continue;
      }
      const next = this.text[this.#at++] ?? this.#fault();
      const hex = { x: 2, u: 4, U: 8 }[next];
      if (hex) {
        const code = Number.parseInt(this.text.slice(this.#at, this.#at + hex), 16);
        if (!(code <= 0x10ffff)) this.#fault();
        this.#at += hex;
        value += hex === 8 ? String.fromCodePoint(code) : String.fromCharCode(code);
        // As in Python, a backslash before any other character stays.
      } else value += ESCAPES[next] ?? (next === quote || next === '\\' || next === '/' ? next : `\\${next}`);
    }
  }
}
