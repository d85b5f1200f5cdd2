/** What Python's `str` and `repr` make of a value, for commands and templates that are made of values of the spec. */
import { type Doc, isDoc } from '../../core/launchpad/index.ts';
import { isDouble, isInt32, isLong } from '../../core/launchpad/values.ts';

export function pythonText(value: unknown): string {
  return typeof value === 'string' ? value : pythonRepr(value);
}

export function pythonRepr(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : pythonFloat(value);
  if (isDouble(value)) return pythonFloat(value.value);
  if (isInt32(value)) return String(value.value);
  if (isLong(value)) return value.toString();
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`;
  if (isDoc(value))
    return `{${Object.entries(value as Doc)
      .map(pair)
      .join(', ')}}`;
  return String(value);
}

const pair = ([key, value]: [string, unknown]) => `${quoted(key)}: ${pythonRepr(value)}`;

/** Python writes an exponent from 1e16 on and below 1e-4, of two digits or more. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const [digits, exponent] = value.toExponential().split('e') as [string, string];
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power >= 16))
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  const text = Object.is(value, -0) ? '-0' : String(value);
  return text.includes('.') ? text : `${text}.0`;
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
  const escaped = text.replace(/[\\\x00-\x1f\x7f]/g, (c) => {
    return ESCAPES[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `${quote}${quote === "'" ? escaped.replaceAll("'", "\\'") : escaped}${quote}`;
}
