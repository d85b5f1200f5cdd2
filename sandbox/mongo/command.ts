import type { Document } from 'bson';
import type { Cursors } from './cursors.ts';
import { badValue } from './errors.ts';
import type { Collection, Store } from './store.ts';

/** What a command runs on. */
export interface Context {
  store: Store;
  cursors: Cursors;
  db: string;
  /** The command, numbers promoted. */
  body: Document;
  /** The command, with Int32, Double and Long kept. */
  typed: Document;
  counters: Record<string, number>;
}

/** Answers a command with the fields of its reply, without `ok`. Runs inside a transaction when it is a write. */
export type Command = (context: Context) => Document;

/** The name of the collection that a command is about, its first field's value. */
export function nameOf(context: Context, command: string): string {
  const name = context.body[command];
  if (typeof name !== 'string' || name === '')
    throw badValue(`collection name has invalid type ${typeof name}`);
  return name;
}

export function collectionOf(context: Context, command: string): Collection | undefined {
  return context.store.find(context.db, nameOf(context, command));
}
