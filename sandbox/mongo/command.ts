import type { Cursors } from './cursors.ts';
import type { Doc } from './document.ts';
import { MongoAnswer } from './errors.ts';
import type { Collection, Store } from './store.ts';

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
