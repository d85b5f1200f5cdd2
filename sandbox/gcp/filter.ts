/**
 * List filters of Compute: `labels.x=y AND (status = "RUNNING" OR name = demo-0)`, or `name eq demo-.*`.
 * https://cloud.google.com/compute/docs/reference/rest/v1/instances/list (filter)
 */
import { parseExpression, type Test, unquote } from './expressions.ts';
import { badRequest } from './http.ts';

type Resource = Record<string, unknown>;

const COMPARISON =
  /^([A-Za-z][\w.-]*)\s*(!=|<=|>=|=|<|>|:|\beq\b|\bne\b)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s()]+)/;

/** A function that says whether a resource matches. Throws ApiError 400 for what is not understood. */
export function parseFilter(text: string | null): Test<Resource> {
  const wrong = () =>
    badRequest(`Invalid value for field 'filter': '${text}'. Invalid list filter expression.`);
  const kinds = new Set<boolean>();
  const test = parseExpression<Resource>(
    text ?? '',
    (rest) => {
      const [whole, path, operator, value] = COMPARISON.exec(rest) ?? [];
      if (!whole || !path || !operator || value === undefined) return null;
      kinds.add(/^(eq|ne)$/.test(operator));
      return { test: comparison(path, operator, unquote(value)), length: whole.length };
    },
    wrong,
  );
  // Regular expressions (eq, ne) are a language of their own.
  if (kinds.size > 1) throw wrong();
  return test;
}

function valueAt(resource: Resource, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Resource | undefined)?.[key], resource);
}

function comparison(path: string, operator: string, wanted: string): Test<Resource> {
  const glob = wanted.includes('*')
    ? new RegExp(
        `^${wanted
          .split('*')
          .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
          .join('.*')}$`,
      )
    : null;
  const same = (value: unknown) =>
    value !== undefined && (glob ? glob.test(String(value)) : String(value) === wanted);
  const has = (value: unknown) =>
    wanted === '*'
      ? value !== undefined
      : typeof value === 'string' && !glob
        ? value.includes(wanted)
        : same(value);
  const order = (value: unknown) =>
    value === undefined ? Number.NaN : compare(String(value), wanted, typeof value === 'number');
  switch (operator) {
    case '=':
      return (resource) => same(valueAt(resource, path));
    case '!=':
      return (resource) => !same(valueAt(resource, path));
    case ':':
      return (resource) => has(valueAt(resource, path));
    case 'eq':
    case 'ne': {
      const whole = wholeValue(wanted);
      return (resource) => whole.test(String(valueAt(resource, path) ?? '')) === (operator === 'eq');
    }
    case '<':
      return (resource) => order(valueAt(resource, path)) < 0;
    case '>':
      return (resource) => order(valueAt(resource, path)) > 0;
    case '<=':
      return (resource) => order(valueAt(resource, path)) <= 0;
    default:
      return (resource) => order(valueAt(resource, path)) >= 0;
  }
}

/** Numbers (64-bit ones are text) by their size, all else by its letters. */
function compare(a: string, b: string, numeric: boolean): number {
  if (numeric || (/^\d+$/.test(a) && /^\d+$/.test(b))) return Number(a) - Number(b);
  return a < b ? -1 : a > b ? 1 : 0;
}

function wholeValue(pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern})$`);
  } catch {
    throw badRequest(`Invalid value for field 'filter': invalid regular expression '${pattern}'.`);
  }
}
