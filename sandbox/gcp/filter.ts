/**
 * List filters of Compute: `labels.x=y AND (status = "RUNNING" OR name eq demo-.*)`.
 * https://cloud.google.com/compute/docs/reference/rest/v1/instances/list (filter)
 */
import { badRequest } from './http.ts';

type Test = (resource: Record<string, unknown>) => boolean;

const TOKEN =
  /\s*(?:(\(|\))|(AND|OR|NOT)\b|(-?[\w.-]+)\s*(!=|<=|>=|=|<|>|:|\beq\b|\bne\b)\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^\s()]+))/y;

/** A function that says whether a resource matches. Throws ApiError 400 for what is not understood. */
export function parseFilter(text: string | null): Test {
  if (!text?.trim()) return () => true;
  let at = 0;
  const next = (): RegExpExecArray | null => {
    TOKEN.lastIndex = at;
    return TOKEN.exec(text);
  };
  const wrong = () =>
    badRequest(`Invalid value for field 'filter': '${text}'. Invalid list filter expression.`);
  const primary = (): Test => {
    const token = next();
    if (!token) throw wrong();
    at += token[0].length;
    if (token[1] === '(') {
      const inner = either();
      const close = next();
      if (close?.[1] !== ')') throw wrong();
      at += close[0].length;
      return inner;
    }
    if (token[2] === 'NOT') {
      const inner = primary();
      return (resource) => !inner(resource);
    }
    if (!token[3]) throw wrong();
    return comparison(token[3], token[4] ?? '', unquote(token[5] ?? ''));
  };
  const both = (): Test => {
    const parts = [primary()];
    for (let token = next(); token && token[2] !== 'OR' && token[1] !== ')'; token = next()) {
      // Expressions side by side are ANDed, like those with AND between them.
      if (token[2] === 'AND') at += token[0].length;
      parts.push(primary());
    }
    return (resource) => parts.every((test) => test(resource));
  };
  const either = (): Test => {
    const parts = [both()];
    for (let token = next(); token?.[2] === 'OR'; token = next()) {
      at += token[0].length;
      parts.push(both());
    }
    return (resource) => parts.some((test) => test(resource));
  };
  const test = either();
  if (text.slice(at).trim() !== '') throw wrong();
  return test;
}

function unquote(text: string): string {
  return /^["']/.test(text) ? text.slice(1, -1).replaceAll(/\\(.)/g, '$1') : text;
}

function valueAt(resource: Record<string, unknown>, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], resource);
}

function comparison(path: string, operator: string, wanted: string): Test {
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
  return (resource) => {
    const value = valueAt(resource, path);
    switch (operator) {
      case '=':
        return same(value);
      case '!=':
        return !same(value);
      case ':':
        return (
          value !== undefined &&
          (wanted === '*' || glob?.test(String(value)) === true || String(value).includes(wanted))
        );
      // eq and ne match the whole value against a regular expression.
      case 'eq':
        return new RegExp(`^(?:${wanted})$`).test(String(value ?? ''));
      case 'ne':
        return !new RegExp(`^(?:${wanted})$`).test(String(value ?? ''));
      case '<':
        return Number(value) < Number(wanted);
      case '>':
        return Number(value) > Number(wanted);
      case '<=':
        return Number(value) <= Number(wanted);
      default:
        return Number(value) >= Number(wanted);
    }
  };
}
