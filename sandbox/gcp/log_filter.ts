/**
 * The language of Cloud Logging: `labels.worker:"demo-" AND (severity>=WARNING OR textPayload=~"^lost")`.
 * https://cloud.google.com/logging/docs/view/logging-query-language
 */
import { parseExpression, type Test, unquote } from './expressions.ts';
import { badRequest } from './http.ts';

type Entry = Record<string, unknown>;

export const SEVERITIES = {
  DEFAULT: 0,
  DEBUG: 100,
  INFO: 200,
  NOTICE: 300,
  WARNING: 400,
  ERROR: 500,
  CRITICAL: 600,
  ALERT: 700,
  EMERGENCY: 800,
} as const;

const VALUE = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s()"']+)/;
const FIELD = /^((?:"[^"]+"|[A-Za-z_][\w/-]*)(?:\.(?:"[^"]+"|[\w/-]+))*)\s*(>=|<=|!=|=~|!~|=|:|>|<)\s*/;

/** A function that says whether an entry matches. Throws ApiError 400 for what is not understood. */
export function parseLogFilter(text: string): Test<Entry> {
  const wrong = () => badRequest(`Unparseable filter: ${text}`);
  const uncommented = text.replaceAll(/^\s*--.*$/gm, '');
  return parseExpression<Entry>(uncommented, (rest) => comparisonIn(rest, wrong), wrong);
}

/** `path op value`, `path op (value OR value)`, or a value alone, which is looked for everywhere. */
function comparisonIn(rest: string, wrong: () => Error): { test: Test<Entry>; length: number } | null {
  const [head, path, operator] = FIELD.exec(rest) ?? [];
  if (!head || !path || !operator) {
    const [value] = VALUE.exec(rest) ?? [];
    return value === undefined ? null : { test: anywhere(unquote(value)), length: value.length };
  }
  const after = rest.slice(head.length);
  const group = groupAt(after);
  if (group) {
    const inner = group.slice(1, -1);
    const test = parseExpression<Entry>(inner, (part) => valueIn(part, path, operator), wrong);
    return { test, length: head.length + group.length };
  }
  const found = valueIn(after, path, operator);
  return found && { test: found.test, length: head.length + found.length };
}

function valueIn(rest: string, path: string, operator: string): { test: Test<Entry>; length: number } | null {
  const [value] = VALUE.exec(rest) ?? [];
  return value === undefined
    ? null
    : { test: comparison(path, operator, unquote(value)), length: value.length };
}

/** The parenthesis with which `text` begins, to its partner. */
function groupAt(text: string): string | null {
  if (!text.startsWith('(')) return null;
  let depth = 0;
  for (const { 0: part, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[()]/g)) {
    if (part === '(') depth++;
    if (part === ')' && --depth === 0) return text.slice(0, index + 1);
  }
  return null;
}

function anywhere(wanted: string): Test<Entry> {
  const small = wanted.toLowerCase();
  const within = (value: unknown): boolean =>
    typeof value === 'object' && value !== null
      ? Object.values(value).some(within)
      : String(value).toLowerCase().includes(small);
  return within;
}

function comparison(path: string, operator: string, wanted: string): Test<Entry> {
  const keys = [...path.matchAll(/"([^"]+)"|([^.]+)/g)].map((match) => match[1] ?? match[2] ?? '');
  const at = (entry: Entry) =>
    keys.reduce<unknown>((value, key) => (value as Entry | null | undefined)?.[key], entry);
  const is = (value: unknown) =>
    path === 'severity' ? rank(path, value) === rank(path, wanted) : String(value ?? '') === wanted;
  switch (operator) {
    case '=':
      return (entry) => is(at(entry));
    case '!=':
      return (entry) => !is(at(entry));
    case ':':
      return (entry) => has(at(entry), wanted);
    case '=~':
    case '!~': {
      const pattern = patternOf(wanted);
      return (entry) => pattern.test(String(at(entry) ?? '')) === (operator === '=~');
    }
    case '>=':
      return (entry) => rank(path, at(entry)) >= rank(path, wanted);
    case '<=':
      return (entry) => rank(path, at(entry)) <= rank(path, wanted);
    case '>':
      return (entry) => rank(path, at(entry)) > rank(path, wanted);
    default:
      return (entry) => rank(path, at(entry)) < rank(path, wanted);
  }
}

function has(value: unknown, wanted: string): boolean {
  if (wanted === '*' || value === undefined) return value !== undefined;
  return String(value).toLowerCase().includes(wanted.toLowerCase());
}

function rank(path: string, value: unknown): number {
  if (path === 'severity')
    return SEVERITIES[String(value).toUpperCase() as keyof typeof SEVERITIES] ?? Number(value);
  return /timestamp$/i.test(path) ? Date.parse(String(value)) : Number(value);
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw badRequest(`Unparseable filter: invalid regular expression "${text}"`);
  }
}
