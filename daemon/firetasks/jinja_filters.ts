/** What Jinja2's filters, Python's methods of strings and its operators do with the values of a template. */
import type { Doc } from '../../core/launchpad/index.ts';
import { fail } from './firetask.ts';
import { Float, isSafe, iterable, shown, shownInside, truth } from './jinja_values.ts';

/** Filters that nunjucks has not, or has otherwise. */
export const FILTERS: Record<string, (...args: never[]) => unknown> = {
  format: (pattern: unknown, ...values: unknown[]) => printf(String(pattern), values),
  string: (value: unknown) => shown(value),
  list: (value: unknown) => [...(iterable(value) as Iterable<unknown>)],
  min: (list: number[]) => list.toSorted(byValue)[0],
  max: (list: number[]) => list.toSorted(byValue).at(-1),
  unique: (list: unknown[]) => [...new Set(list)],
  sum: (list: Doc[], how?: string | { attribute?: string; start?: number }) => {
    const attribute = typeof how === 'string' ? how : how?.attribute;
    const start = (typeof how === 'object' ? how.start : 0) ?? 0;
    return list.reduce<unknown>((a, b) => arithmetic('+', a, attribute ? b[attribute] : b), start);
  },
  selectattr: (list: Doc[], ...how: unknown[]) => list.filter((item) => passes(item, how)),
  rejectattr: (list: Doc[], ...how: unknown[]) => list.filter((item) => !passes(item, how)),
  int: (value: unknown, otherwise = 0) => {
    const number = Math.trunc(Number(value));
    return Number.isNaN(number) ? otherwise : number;
  },
  float: (value: unknown, otherwise = 0) => {
    const number = Number(value);
    return new Float(Number.isNaN(number) ? otherwise : number);
  },
  round: (value: number, digits = 0, method = 'common') => new Float(rounded(Number(value), digits, method)),
  map: (list: unknown, how: string | { attribute?: string; default?: unknown }) =>
    [...(iterable(list) as Iterable<Doc>)].map((item) => {
      if (typeof how === 'string')
        return (
          (FILTERS[how] as ((v: unknown) => unknown) | undefined)?.(item as never) ?? plainFilter(how, item)
        );
      return item[how.attribute ?? ''] ?? how.default;
    }),
};

/** Filters by name for `map`, those that people use so. */
function plainFilter(name: string, value: unknown): unknown {
  if (name === 'upper') return shown(value).toUpperCase();
  if (name === 'lower') return shown(value).toLowerCase();
  if (name === 'trim') return shown(value).trim();
  return fail(
    'TemplateAssertionError',
    `map('${name}') is not known here; string, int, float, round, upper, lower and trim are`,
  );
}

/** Python's `round`, and Jinja's `floor` and `ceil`. */
function rounded(value: number, digits: number, method: string): number {
  const scale = 10 ** digits;
  if (method === 'floor') return Math.floor(value * scale) / scale;
  if (method === 'ceil') return Math.ceil(value * scale) / scale;
  const whole = Math.floor(value * scale);
  // A half goes to the even neighbour.
  if (value * scale - whole === 0.5) return (whole + (whole % 2 === 0 ? 0 : 1)) / scale;
  return digits > 0 ? Number(value.toFixed(digits)) : Math.round(value * scale) / scale;
}

/** Python's `pattern % values`. */
function printf(pattern: string, values: unknown[]): string {
  let next = 0;
  return pattern.replace(
    /%([-+ 0#]*)(\d*)(?:\.(\d+))?([sdifeEgGxXor%])/g,
    (_, flags, width, digits, kind) => {
      if (kind === '%') return '%';
      const value = values[next++];
      const text = converted(kind, value, digits === undefined ? undefined : Number(digits));
      const sign = /[dife]/i.test(kind) && Number(value) >= 0 && flags.includes('+') ? `+${text}` : text;
      if (flags.includes('-')) return sign.padEnd(Number(width));
      if (!flags.includes('0')) return sign.padStart(Number(width));
      const [, head = '', body = ''] = /^([-+]?)(.*)$/.exec(sign) ?? [];
      return head + body.padStart(Number(width) - head.length, '0');
    },
  );
}

function converted(kind: string, value: unknown, digits: number | undefined): string {
  const number = Number(value);
  const exponent = (text: string) => text.replace(/e([-+])(\d)$/, 'e$10$2');
  switch (kind.toLowerCase()) {
    case 's':
      return shown(value).slice(0, digits);
    case 'r':
      return shownInside(value);
    case 'd':
    case 'i':
      return String(Math.trunc(number));
    case 'x':
      return kind === 'x' ? number.toString(16) : number.toString(16).toUpperCase();
    case 'o':
      return number.toString(8);
    case 'f':
      return number.toFixed(digits ?? 6);
    case 'e': {
      const text = exponent(number.toExponential(digits ?? 6));
      return kind === 'E' ? text.toUpperCase() : text;
    }
    default: {
      const precision = Math.max(digits ?? 6, 1);
      const power = number === 0 ? 0 : Number(number.toExponential(precision - 1).split('e')[1]);
      const scientific = power < -4 || power >= precision;
      const text = scientific
        ? exponent(number.toExponential(precision - 1).replace(/\.?0+e/, 'e'))
        : number
            .toFixed(precision - 1 - power)
            .replace(/(\.\d*?)0+$/, '$1')
            .replace(/\.$/, '');
      return kind === 'G' ? text.toUpperCase() : text;
    }
  }
}

const byValue = (a: unknown, b: unknown) => {
  const [x, y] = [a, b] as number[] as [number, number];
  return x < y ? -1 : Number(x > y);
};

/** Whether an attribute is true, or equals a value. */
function passes(item: Doc, [attribute, test, value]: unknown[]): boolean {
  const own = item[String(attribute)];
  if (test === undefined) return truth(own);
  if (test === 'defined') return own !== undefined;
  if (['equalto', 'eq', '=='].includes(String(test))) return shownInside(own) === shownInside(value);
  return fail(
    'TemplateRuntimeError',
    `selectattr and rejectattr know the tests defined and equalto, not '${test}'`,
  );
}

/** Methods of Python's strings. Those of its lists and dictionaries are nunjucks' own ("jinja compat"). */
export const STRING_METHODS: Record<string, (text: string, ...args: string[]) => unknown> = {
  upper: (text) => text.toUpperCase(),
  lower: (text) => text.toLowerCase(),
  strip: (text) => text.trim(),
  lstrip: (text) => text.trimStart(),
  rstrip: (text) => text.trimEnd(),
  capitalize: (text) => text.charAt(0).toUpperCase() + text.slice(1).toLowerCase(),
  title: (text) => text.toLowerCase().replace(/(?<![a-z])[a-z]/g, (c) => c.toUpperCase()),
  split: (text, by) => (by === undefined ? text.trim().split(/\s+/) : text.split(by)),
  splitlines: (text) => text.replace(/\n$/, '').split('\n'),
  replace: (text, from, to) => text.replaceAll(from as string, () => to as string),
  startswith: (text, start) => text.startsWith(start as string),
  endswith: (text, end) => text.endsWith(end as string),
  join: (text, list) => [...(list as Iterable<unknown>)].map(shown).join(text),
  zfill: (text, width) => text.padStart(Number(width), '0'),
  ljust: (text, width) => text.padEnd(Number(width)),
  rjust: (text, width) => text.padStart(Number(width)),
};

/** `1.0 + 1` is a float, and lists are joined. */
export function arithmetic(operator: string, left: unknown, right: unknown): unknown {
  if (operator === '+' && Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
  if (operator === '+' && (typeof left === 'string' || isSafe(left))) return `${left}${right}`;
  if (operator === '*' && typeof left === 'string') return left.repeat(Number(right));
  if (operator === '%' && typeof left === 'string') return printf(left, [right].flat());
  const [a, b] = [Number(left), Number(right)];
  const result = OPERATORS[operator]?.(a, b) as number;
  const float = operator === '/' || left instanceof Float || right instanceof Float;
  return float && Number.isInteger(result) ? new Float(result) : result;
}

const OPERATORS: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => (b === 0 ? fail('ZeroDivisionError', 'division by zero') : a / b),
  // The remainder has the divisor's sign.
  '%': (a, b) => (b === 0 ? fail('ZeroDivisionError', 'modulo by zero') : ((a % b) + b) % b),
};
