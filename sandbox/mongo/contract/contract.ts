/** The whole contract, case by case. */
import { aggregation } from './aggregation.ts';
import { commands } from './commands.ts';
import { indexes } from './indexes.ts';
import { queries } from './queries.ts';
import { holds, type Subject } from './subject.ts';
import { types } from './types.ts';
import { updates } from './updates.ts';

export function contract(subject: Subject): void {
  for (const [title, cases] of Object.entries({ queries, updates, indexes, aggregation, commands, types }))
    holds(subject, title, cases);
}
