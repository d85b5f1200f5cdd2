/** docs/launchpad-rules.md, its tables read and run: states as core/launchpad/states.ts has them, fields as Python wrote them. */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Doc, fromJson, isDoc, STATES, type State } from '../core/launchpad/index.ts';
import { isDone, refreshedState, representativeLaunch, workflowState } from '../core/launchpad/states.ts';
import { isDouble } from '../core/launchpad/values.ts';

const root = resolve(import.meta.dir, '..');
const page = readFileSync(join(root, 'docs/launchpad-rules.md'), 'utf8');

/** The rows of the first table below a heading, without the table's own heading. */
function table(heading: string): string[][] {
  const section = page.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  const lines = section?.split('\n').filter((line) => line.startsWith('|')) ?? [];
  const rows = lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  if (rows.length === 0) throw new Error(`there is no table below '${heading}'`);
  return rows;
}

/** The first row that applies, as the page says. */
function decide<T>(rows: readonly T[], applies: (row: T) => boolean): T {
  const row = rows.find(applies);
  if (!row) throw new Error('no row applies');
  return row;
}

const statesIn = (cell: string) => cell.match(/\b[A-Z]{5,}\b/g) as State[];

/** Every list of up to `most` of the items, in every order. */
function lists<T>(items: readonly T[], most: number): T[][] {
  if (most === 0) return [[]];
  const shorter = lists(items, most - 1);
  return [[], ...items.flatMap((item) => shorter.map((list) => [item, ...list]))];
}

function meaning<T>(words: Record<string, T>, cell: string): T {
  if (!Object.hasOwn(words, cell)) throw new Error(`the test does not know '${cell}'`);
  return words[cell] as T;
}

describe('states', () => {
  test('which launch speaks', () => {
    const order = table('Which launch speaks').map(([, states = '']) => statesIn(states));
    expect([...order.flat(), 'ARCHIVED'].sort()).toEqual([...STATES].sort());
    for (const states of lists(STATES, 3)) {
      const best = order.find((row) => states.some((state) => row.includes(state)));
      const first = best ? states.findIndex((state) => best.includes(state)) : null;
      const launches = states.map((state, launch_id) => ({ state, launch_id }));
      expect({ states, speaks: representativeLaunch(launches)?.launch_id ?? null }).toEqual({
        states,
        speaks: first,
      });
    }
  });

  test('when a parent is done', () => {
    const rows = table('When a parent is done');
    for (const state of STATES)
      for (const allows of [false, true]) {
        const [, without, withIt] = decide(rows, ([cell]) => cell === state || cell === 'any other');
        const word = (allows ? withIt : without) ?? '';
        const done = meaning({ done: true, 'not done': false }, word);
        expect({ state, allows, done: isDone(state, allows) }).toEqual({ state, allows, done });
      }
  });

  test('a Firework after a refresh', () => {
    const rows = table('A Firework after a refresh');
    let cases = 0;
    for (const state of STATES)
      for (const parents of lists(STATES, 2))
        for (const launches of lists(STATES, 2))
          for (const allowFizzledParents of [false, true]) {
            const allDone = parents.every((parent) => isDone(parent, allowFizzledParents));
            const speaks = representativeLaunch(
              launches.map((one, launch_id) => ({ state: one, launch_id })),
            );
            const row = decide(
              rows,
              ([own = '', above = '', ran = '']) =>
                (own === 'any other' || statesIn(own).includes(state)) &&
                meaning(
                  { any: true, 'at least one is not done': !allDone, 'all done, or none': allDone },
                  above,
                ) &&
                meaning({ any: true, 'one speaks': speaks !== null, 'none speaks': speaks === null }, ran),
            );
            const becomes = meaning(
              {
                'what it was': state,
                'what that launch is': speaks?.state,
                WAITING: 'WAITING' as const,
                READY: 'READY' as const,
              },
              row[3] ?? '',
            );
            const refreshed = refreshedState({
              state,
              parents,
              allowFizzledParents,
              launches: launches.map((one, launch_id) => ({ state: one, launch_id })),
            });
            if (refreshed !== becomes)
              throw new Error(
                `${state}, parents ${parents}, launches ${launches}, allows ${allowFizzledParents}: the page says ${becomes}, states.ts ${refreshed}`,
              );
            cases++;
          }
    expect(cases).toBeGreaterThan(100_000);
  });

  test('a workflow', () => {
    const rows = table('A workflow');
    const fatal = 'any is FIZZLED that has no children, or one that does not allow for it';
    for (let bits = 1; bits < 2 ** STATES.length; bits++)
      for (const leavesCompleted of [false, true])
        for (const childrenOfFizzled of [[], [[]], [[true]], [[true, false]], [[true], [false]]]) {
          const states = new Set(STATES.filter((_, i) => bits & (1 << i)));
          const [, is] = decide(rows, ([rule = '']) => {
            if (rule === 'every one without children is COMPLETED') return leavesCompleted;
            if (rule === fatal)
              return (
                states.has('FIZZLED') &&
                childrenOfFizzled.some((allow) => allow.length === 0 || allow.includes(false))
              );
            if (rule.startsWith('all are '))
              return states.size === 1 && states.has(statesIn(rule)[0] as State);
            if (rule.startsWith('any is ')) return statesIn(rule).some((state) => states.has(state));
            return rule === 'anything else';
          });
          const ours = workflowState({ states, leavesCompleted, childrenOfFizzled });
          const which = { states: [...states].join(' '), leavesCompleted, childrenOfFizzled };
          expect({ ...which, state: ours }).toEqual({ ...which, state: is as State });
        }
  });
});

describe('documents', () => {
  const isText = (value: unknown) => typeof value === 'string';
  const TYPES: Record<string, (value: unknown) => boolean> = {
    ObjectId: (value) => value === '<oid>',
    integer: (value) => Number.isInteger(value),
    double: (value) => value === '<float>' || isDouble(value),
    string: isText,
    'ISO date': (value) => value === '<iso+00:00>',
    'BSON date': (value) => value === '<date>',
    boolean: (value) => typeof value === 'boolean',
    dictionary: isDoc,
    list: Array.isArray,
    'list of integers': (value) => Array.isArray(value) && value.every(Number.isInteger),
    null: (value) => value === null,
  };
  const fits = (value: unknown, type: string) => type.split(' or ').some((one) => meaning(TYPES, one)(value));

  const folder = join(root, 'core/launchpad/recorded');
  const files = readdirSync(folder).filter((name) => name.endsWith('.json') && name !== 'indexes.json');
  /** Rows of one collection in all recorded files. */
  const rowsOf = (collection: string) =>
    files.flatMap((name) => {
      const { steps } = fromJson(readFileSync(join(folder, name), 'utf8')) as {
        steps: { collections: Record<string, Doc[]> }[];
      };
      return steps.flatMap(({ collections }) =>
        (collections[collection] ?? []).map((row) => ({ name, row })),
      );
    });

  test.each(['fireworks', 'launches', 'workflows', 'fw_id_assigner', 'offline_runs'])('%s', (collection) => {
    const fields = new Map(
      table(collection).map(([field = '', type = '']) => [field.replaceAll('`', ''), type]),
    );
    const rows = rowsOf(collection);
    const wrong = new Set<string>();
    const seen = new Set<string>();
    for (const { name, row } of rows)
      for (const [key, value] of Object.entries(row)) {
        seen.add(key);
        const type = fields.get(key);
        // The page says of which commands the dates of Fireworks are not copied.
        const mixed = type === 'ISO date' && value === '<date>';
        if (!type || !(fits(value, type) || mixed)) wrong.add(`${name}: ${key} is no ${type}`);
      }
    expect([...wrong]).toEqual([]);
    expect([...fields.keys()].filter((field) => !seen.has(field))).toEqual([]);
  });
});
