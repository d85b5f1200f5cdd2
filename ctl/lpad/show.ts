/** How `lpad` prints data: JSON as Python's `json.dump(indent=4)` or YAML, each item as soon as it is there. */
import { isDoc, plain, toJson } from '../../core/launchpad/index.ts';
import { isDouble, isInt32, isLong } from '../../core/launchpad/values.ts';
import { print } from '../output.ts';

/** A date as Python's `isoformat` writes it: no zone, microseconds unless they are none. */
export function pythonDate(at: Date): string {
  const text = at.toISOString().slice(0, -1);
  return text.endsWith('.000') ? text.slice(0, -4) : `${text}000`;
}

/**
 * JSON with 4 spaces, or on one line, and, as Python has it, nothing beyond ASCII. Dates are strings; what JSON cannot say
 * (ObjectIds, bytes) is null. A Map of strings is a dictionary: of many names of its own an object takes longer to be made.
 */
export function pythonJson(value: unknown, depth = 0, indent = 4): string {
  const text = jsonOf(value, indent > 0 ? `\n${' '.repeat(indent * depth)}` : '', ' '.repeat(indent));
  return text.replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `line` is the line break and the spaces before the value's last line, or empty for all on one line. */
function jsonOf(value: unknown, line: string, indent: string): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Date) return `"${pythonDate(value)}"`;
  if (typeof value !== 'object' || value === null || isInt32(value) || isDouble(value) || isLong(value))
    return toJson(value);
  const inner = line === '' ? '' : line + indent;
  const comma = line === '' ? ', ' : ',';
  let text = '';
  const add = (item: string) => {
    text += (text === '' ? inner : comma + inner) + item;
  };
  if (Array.isArray(value)) {
    for (const element of value) add(jsonOf(element, inner, indent));
    return text === '' ? '[]' : `[${text}${line}]`;
  }
  const entries = value instanceof Map ? value : isDoc(value) ? Object.entries(value) : null;
  if (entries === null) return 'null';
  for (const [key, one] of entries)
    if (one !== undefined) add(`${JSON.stringify(key)}: ${jsonOf(one, inner, indent)}`);
  return text === '' ? '{}' : `{${text}${line}}`;
}

/** The value as FireWorks shows it: dates as strings; what JSON cannot say is null. */
function shown(value: unknown): unknown {
  if (value instanceof Date) return pythonDate(value);
  if (Array.isArray(value)) return value.map(shown);
  if (value instanceof Map) return shown(Object.fromEntries(value));
  if (isDoc(value))
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shown(inner)]));
  const known = isInt32(value) || isDouble(value) || isLong(value);
  return typeof value === 'object' && value !== null && !known ? null : value;
}

/** YAML with sorted keys, as FireWorks'. A list of one item prints `- item`. */
export async function pythonYaml(value: unknown): Promise<string> {
  const { stringify, Scalar } = await import('yaml');
  const convert = (inner: unknown): unknown => {
    if (Array.isArray(inner)) return inner.map(convert);
    if (isDoc(inner))
      return Object.fromEntries(Object.entries(inner).map(([key, one]) => [key, convert(one)]));
    if (!isDouble(inner) || !Number.isInteger(inner.value)) return plain(inner);
    // 1.0 is not 1 to the Python that reads it.
    const scalar = new Scalar(inner.value);
    scalar.minFractionDigits = 1;
    return scalar;
  };
  return stringify(convert(shown(value)), {
    version: '1.1',
    sortMapEntries: true,
    lineWidth: 0,
    indentSeq: false,
    singleQuote: true,
  });
}

/** Written at once from this many characters on: one call of the system for each of 50,000 numbers takes longer than all else. */
const PIECE = 16 * 1024;

/** Calls `work` with a way to print that gathers small pieces. What was gathered is printed also when `work` fails. */
async function gathering(work: (say: (text: string) => void) => Promise<void>): Promise<void> {
  let gathered = '';
  const flush = () => {
    print(gathered);
    gathered = '';
  };
  try {
    await work((text) => {
      gathered += text;
      if (gathered.length >= PIECE) flush();
    });
  } finally {
    flush();
  }
}

/** How much memory garbage may take before it is collected: left alone it grows to several times what is in use. */
const GARBAGE_BYTES = 32 * 2 ** 20;
/** To look is 7 µs: too much for each of 100,000 numbers. */
const LOOK_EVERY_MS = 20;

async function* swept<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T> {
  let after = process.memoryUsage.rss();
  let looked = performance.now();
  for await (const item of items) {
    yield item;
    if (performance.now() < looked + LOOK_EVERY_MS) continue;
    looked = performance.now();
    if (process.memoryUsage.rss() < after + GARBAGE_BYTES) continue;
    Bun.gc(true);
    after = process.memoryUsage.rss();
  }
}

/**
 * Prints what a query found: one item as itself, none or several as a list. Few items are held in memory.
 */
export async function show(
  items: AsyncIterable<unknown> | Iterable<unknown>,
  output: 'json' | 'yaml',
): Promise<void> {
  await gathering((say) => showTo(say, items, output));
}

async function showTo(
  say: (text: string) => void,
  items: AsyncIterable<unknown> | Iterable<unknown>,
  output: 'json' | 'yaml',
): Promise<void> {
  let first: { item: unknown } | undefined;
  let number = 0;
  for await (const item of swept(items)) {
    number++;
    if (number === 1) {
      first = { item };
      continue;
    }
    if (first) {
      say(output === 'json' ? `[\n    ${pythonJson(first.item, 1)}` : await pythonYaml([first.item]));
      first = undefined;
    }
    say(output === 'json' ? `,\n    ${pythonJson(item, 1)}` : await pythonYaml([item]));
  }
  if (number > 1) say(output === 'json' ? '\n]\n' : '\n');
  else if (first && output === 'json') say(`${pythonJson(first.item)}\n`);
  // Python's YAML ends a lone number with three dots.
  else if (first) say(`${await pythonYaml(first.item)}${typeof first.item === 'number' ? '...\n' : ''}\n`);
  else say(output === 'json' ? '[]\n' : '[]\n\n');
}

/** Prints a JSON list, however many items there are, each as soon as it is there: for `--json`. */
export async function showList(items: AsyncIterable<unknown> | Iterable<unknown>): Promise<void> {
  await gathering(async (say) => {
    let number = 0;
    for await (const item of swept(items)) say(`${number++ === 0 ? '[' : ','}\n    ${pythonJson(item, 1)}`);
    say(number === 0 ? '[]\n' : '\n]\n');
  });
}

/** `{1: 4, 2: 5}`: how FireWorks tells which new fw_id each old one became. */
export function idMap(map: ReadonlyMap<number, number>): string {
  return `{${[...map].map(([old, id]) => `${old}: ${id}`).join(', ')}}`;
}
