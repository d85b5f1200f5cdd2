import { isNumber, numberOf } from './arithmetic.ts';
import type { Cursors } from './cursors.ts';
import { Doc } from './document.ts';
import { MongoAnswer, typeMismatch } from './errors.ts';
import type { Collection, Store } from './store.ts';
import { typeName } from './types.ts';

/** What a command runs on. */
export interface Context {
  store: Store;
  cursors: Cursors;
  db: string;
  /** The command as it came. */
  command: Doc;
  /** Its options as JavaScript's values; filters, updates and documents are taken from `command`. */
  body: Record<string, unknown>;
  counters: Record<string, number>;
}

/** Answers a command with the fields of its reply, without `ok`. Runs inside a transaction when it is a write. */
export type Command = (context: Context) => Record<string, unknown>;

/** The name of the collection that a command is about, its first field's value. */
export function nameOf({ db, body }: Context, command: string): string {
  const name = body[command];
  if (typeof name !== 'string')
    throw new MongoAnswer(73, 'InvalidNamespace', `collection name has invalid type ${typeof name}`);
  if (name === '' || name.includes('$') || name.includes('\0') || name.startsWith('.'))
    throw new MongoAnswer(73, 'InvalidNamespace', `Invalid namespace specified '${db}.${name}'`);
  return name;
}

export function collectionOf(context: Context, command: string): Collection | undefined {
  return context.store.find(context.db, nameOf(context, command));
}

const wrongType = (field: string, wanted: string, value: unknown) =>
  typeMismatch(`BSON field '${field}' is the wrong type '${typeName(value)}', expected type '${wanted}'`);

/** A field that is a document; undefined when it is left out. */
export function documentAt(command: Doc, field: string): Doc | undefined {
  const value = command.get(field) ?? undefined;
  if (value === undefined || value instanceof Doc) return value;
  throw wrongType(field, 'object', value);
}

/** A field that is a list of documents; empty when it is left out. */
export function documentsAt(command: Doc, field: string): Doc[] {
  const values = command.get(field) ?? [];
  if (!Array.isArray(values)) throw wrongType(field, 'array', values);
  const stranger = values.find((value) => !(value instanceof Doc));
  if (stranger !== undefined) throw wrongType(`${field}.0`, 'object', stranger);
  return values;
}

/** A field that is a number; 0 when it is left out. */
export function numberAt(command: Doc, field: string): number {
  const value = command.get(field) ?? 0;
  if (value === 0) return 0;
  if (!isNumber(value)) throw wrongType(field, 'long', value);
  return numberOf(value);
}
