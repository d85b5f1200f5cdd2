/** The whole contract, case by case. */
import { aggregation } from './aggregation.ts';
import { bulk } from './bulk.ts';
import { commands } from './commands.ts';
import { indexes } from './indexes.ts';
import { queries } from './queries.ts';
import { holds, type Subject } from './subject.ts';
import { types } from './types.ts';
import { updates } from './updates.ts';

export function contract(subject: Subject): void {
  const all = { queries, updates, bulk, indexes, aggregation, commands, types };
  for (const [title, cases] of Object.entries(all)) holds(subject, title, cases);
}
