import { ObjectId } from 'bson';
import { Doc } from './document.ts';

/** An error as MongoDB answers it: `{ok: 0, errmsg, code, codeName}`. Codes: mongo/src/mongo/base/error_codes.yml. */
export class MongoAnswer extends Error {
  constructor(
    readonly code: number,
    readonly codeName: string,
    message: string,
    /** Further fields of the answer, such as `keyPattern` of a duplicate key. */
    readonly fields: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

export const badValue = (message: string) => new MongoAnswer(2, 'BadValue', message);
export const failedToParse = (message: string) => new MongoAnswer(9, 'FailedToParse', message);
export const unauthorized = (message: string) => new MongoAnswer(13, 'Unauthorized', message);
export const typeMismatch = (message: string) => new MongoAnswer(14, 'TypeMismatch', message);
export const authenticationFailed = () =>
  new MongoAnswer(18, 'AuthenticationFailed', 'Authentication failed.');
export const namespaceNotFound = (message: string) => new MongoAnswer(26, 'NamespaceNotFound', message);
export const indexNotFound = (message: string) => new MongoAnswer(27, 'IndexNotFound', message);
export const pathNotViable = (message: string) => new MongoAnswer(28, 'PathNotViable', message);
export const conflictingUpdate = (message: string) =>
  new MongoAnswer(40, 'ConflictingUpdateOperators', message);
export const cursorNotFound = (id: bigint) =>
  new MongoAnswer(43, 'CursorNotFound', `cursor id ${id} not found`);
export const namespaceExists = (message: string) => new MongoAnswer(48, 'NamespaceExists', message);
export const commandNotFound = (name: string) =>
  new MongoAnswer(59, 'CommandNotFound', `no such command: '${name}'`);
export const immutableField = (message: string) => new MongoAnswer(66, 'ImmutableField', message);
export const notSupported = (message: string) => new MongoAnswer(115, 'CommandNotSupported', message);

/** The answer to a write that would put the same key twice into a unique index. */
export function duplicateKey(ns: string, index: string, pattern: object, value: Doc): MongoAnswer {
  const shown = [...value.entries()].map(([field, v]) => `${field}: ${shownValue(v)}`);
  return new MongoAnswer(
    11000,
    'DuplicateKey',
    `E11000 duplicate key error collection: ${ns} index: ${index} dup key: { ${shown.join(', ')} }`,
    { keyPattern: pattern, keyValue: value },
  );
}

function shownValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Doc) {
    return `{ ${[...value.entries()].map(([field, v]) => `${field}: ${shownValue(v)}`).join(', ')} }`;
  }
  if (value instanceof ObjectId) return `ObjectId('${value.toHexString()}')`;
  if (value instanceof Date) return `new Date(${value.getTime()})`;
  return Array.isArray(value) ? `[ ${value.map(shownValue).join(', ')} ]` : String(value);
}
