/** Python's values as Jinja2 templates see and show them. */
import { isDoc } from '../../core/launchpad/index.ts';
import { isDouble, plain } from '../../core/launchpad/values.ts';
import { pythonFloat, pythonRepr, pythonText } from './python_text.ts';

/** A float that looks like an integer: JavaScript has no other way to remember it. */
export class Float extends Number {}

/** The values of a context, floats kept. */
export function contextOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(contextOf);
  if (isDoc(value))
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, contextOf(inner)]));
  return isDouble(value) && Number.isInteger(value.value) ? new Float(value.value) : plain(value);
}

/** A dictionary of Python's, and no object of the engine's own. */
const isDictionary = (value: unknown): value is Record<string, unknown> =>
  isDoc(value) && Object.getPrototypeOf(value) === Object.prototype;

/** The engine's texts that are not to be escaped are objects. */
export const isSafe = (value: unknown) => value instanceof String;

/** `str(value)`. */
export function shown(value: unknown): string {
  if (value === undefined) return '';
  if (value instanceof Float) return pythonFloat(value.valueOf());
  if (Array.isArray(value)) return `[${value.map(shownInside).join(', ')}]`;
  if (isDictionary(value)) {
    const pairs = Object.entries(value).map(([key, inner]) => `${pythonRepr(key)}: ${shownInside(inner)}`);
    return `{${pairs.join(', ')}}`;
  }
  return isSafe(value) ? String(value) : pythonText(value);
}

/** `repr(value)`. */
export const shownInside = (value: unknown) => (typeof value === 'string' ? pythonRepr(value) : shown(value));

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};

export function escaped(value: unknown): string {
  const text = shown(value);
  return isSafe(value) ? text : text.replace(/[&<>'"]/g, (c) => ENTITIES[c] as string);
}

/** What Python takes for true. */
export function truth(value: unknown): boolean {
  if (value instanceof Number || value instanceof String) return Boolean(value.valueOf());
  if (Array.isArray(value)) return value.length > 0;
  return isDictionary(value) ? Object.keys(value).length > 0 : Boolean(value);
}

/** What a loop goes through: of a dictionary its keys. */
export function iterable(value: unknown): unknown {
  return isDictionary(value) ? Object.keys(value) : (value ?? []);
}

/** As Jinja's filter `tojson`: keys sorted, and nothing that means anything to HTML. */
export function jsonForHtml(value: unknown): string {
  const text = (inner: unknown): string => {
    if (inner instanceof Float) return pythonFloat(inner.valueOf());
    if (Array.isArray(inner)) return `[${inner.map(text).join(', ')}]`;
    if (!isDoc(inner)) return JSON.stringify(inner ?? null);
    const keys = Object.keys(inner).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}: ${text(inner[key])}`).join(', ')}}`;
  };
  return text(value).replace(/[<>&']/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}
