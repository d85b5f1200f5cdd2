/** Which documents a filter matches: mingo decides, after every operator was checked against the ones known to be right. */
import type { Document } from 'bson';
import { Query } from 'mingo';
import { badValue } from './errors.ts';
import { isDocument } from './keys.ts';

const LOGICAL = new Set(['$and', '$or', '$nor']);
const TOP_LEVEL = new Set([...LOGICAL, '$expr', '$comment']);
const FIELD = new Set([
  ...[
    '$eq',
    '$ne',
    '$gt',
    '$gte',
    '$lt',
    '$lte',
    '$in',
    '$nin',
    '$exists',
    '$type',
    '$mod',
    '$regex',
    '$options',
  ],
  ...['$not', '$all', '$elemMatch', '$size', '$bitsAllSet', '$bitsAnySet', '$bitsAllClear', '$bitsAnyClear'],
]);

/** Throws MongoDB's error for an operator that it, or this server, does not know. */
export function checkFilter(filter: unknown): void {
  if (!isDocument(filter)) throw badValue('the filter must be a document');
  for (const [field, value] of Object.entries(filter)) {
    if (LOGICAL.has(field)) {
      if (!Array.isArray(value) || value.length === 0) throw badValue(`${field} must be a nonempty array`);
      for (const part of value) {
        if (!isDocument(part)) throw badValue('$or/$and/$nor entries need to be full objects');
        checkFilter(part);
      }
    } else if (field.startsWith('$')) {
      if (!TOP_LEVEL.has(field))
        throw badValue(
          `unknown top level operator: ${field}. If you have a field name that starts with a '$' symbol, consider using $getField or $setField.`,
        );
    } else checkCondition(value);
  }
}

function checkCondition(value: unknown): void {
  if (!isDocument(value)) return;
  const keys = Object.keys(value);
  if (!keys[0]?.startsWith('$') || '$ref' in value || '$id' in value) return;
  for (const key of keys) {
    if (!FIELD.has(key)) throw badValue(`unknown operator: ${key}`);
    const operand = value[key];
    if ((key === '$in' || key === '$nin' || key === '$all') && !Array.isArray(operand))
      throw badValue(`${key} needs an array`);
    if (key === '$not' && !(operand instanceof RegExp)) {
      if (!isDocument(operand)) throw badValue('$not needs a regex or a document');
      checkCondition(operand);
    }
    if (key === '$elemMatch') {
      if (!isDocument(operand)) throw badValue('$elemMatch needs an Object');
      if (Object.keys(operand)[0]?.startsWith('$') && !LOGICAL.has(Object.keys(operand)[0] ?? ''))
        checkCondition(operand);
      else checkFilter(operand);
    }
  }
}

/** A function that says whether a document (numbers promoted) matches. Throws MongoDB's error for a bad filter. */
export function matcher(filter: Document): (document: Document) => boolean {
  checkFilter(filter);
  if (Object.keys(filter).length === 0) return () => true;
  const { $comment: _, ...conditions } = filter;
  try {
    const query = new Query(conditions);
    return (document) => query.test(document);
  } catch (thrown) {
    throw badValue(thrown instanceof Error ? thrown.message : String(thrown));
  }
}
