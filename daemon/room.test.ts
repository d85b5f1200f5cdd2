/** What fits beside what flies: on a real LaunchPad, for the condition is a query. */
import { describe, expect, test } from 'bun:test';
import {
  addWorkflows,
  type Doc,
  type FWorker,
  fworkerQuery,
  type LaunchPad,
  newWorkflow,
} from '../core/launchpad/index.ts';
import { testPad } from '../core/launchpad/test_pad.ts';
import { checkNeeds, everFitting, fitting, needOf, type Room, roomHere, unfitting } from './room.ts';

const worker: FWorker = { name: 'w', category: '', query: {}, env: {} };
const room: Room = { slots: 4, cpus: 8, memory: 32 };

describe('a room', () => {
  const GIB = 1024 ** 3;
  test('has the slots that were asked for, or one for each core', () => {
    const machine = { cpus: 8, memoryBytes: 32 * GIB };
    expect(roomHere(3, machine)).toEqual({ slots: 3, cpus: 8, memory: 32 });
    expect(roomHere('auto', machine)).toEqual({ slots: 8, cpus: 8, memory: 32 });
  });
  test('is as large as the machine type promises, though the kernel keeps some memory', () => {
    expect(roomHere(1, { cpus: 2, memoryBytes: 7.77 * GIB }).memory).toBe(8);
  });
  test('is that of this machine', () => {
    const here = roomHere('auto');
    expect([here.slots === here.cpus, here.cpus >= 1, here.memory >= 1]).toEqual([true, true, true]);
  });
});

test('a Firework needs what it says, and the share of a slot of what it does not', () => {
  const cases: [Doc, object][] = [
    [{}, { cpus: 2, memory: 8 }],
    [{ _cpus: 1 }, { cpus: 1, memory: 8 }],
    [
      { _cpus: 0.5, _memory: 20 },
      { cpus: 0.5, memory: 20 },
    ],
    [
      { _cpus: 'many', _memory: -1 },
      { cpus: 2, memory: 8 },
    ],
  ];
  for (const [spec, need] of cases)
    expect({ spec, need: needOf(spec, room) }).toEqual({ spec, need: need as never });
});

test('a need that is no number is refused, with the command that corrects it', () => {
  for (const spec of [{}, { _memory: 8 }, { _cpus: 0.5, _memory: null }])
    expect(() => checkNeeds(7, spec)).not.toThrow();
  const refusals: [Doc, string][] = [
    [{ _memory: '8g' }, `_memory in its spec is "8g": it must be a number, of GiB`],
    [{ _cpus: 'four' }, `Correct it: lpad update_fws -i 7 -u '{"_cpus": 8}'; then: lpad rerun_fws -i 7`],
    [{ _cpus: -1 }, `_cpus in its spec is -1`],
  ];
  for (const [spec, told] of refusals) expect(() => checkNeeds(7, spec)).toThrow(told);
});

describe('on the LaunchPad', () => {
  const SPECS: Record<string, Doc> = {
    plain: {},
    'one core': { _cpus: 1, _memory: 1 },
    'four cores': { _cpus: 4 },
    'all cores': { _cpus: 8 },
    'more cores': { _cpus: 8.5 },
    'much memory': { _cpus: 0, _memory: 24 },
    'too much memory': { _memory: 33 },
    'in words': { _cpus: 'four' },
  };
  async function names(launchpad: LaunchPad, only: Doc): Promise<string[]> {
    const found = await launchpad.fireworks.find(fworkerQuery({ ...worker, only })).toArray();
    return found.map(({ name }) => String(name));
  }
  async function filled(launchpad: LaunchPad) {
    const fws = Object.entries(SPECS).map(([name, spec], i) => ({
      fw_id: i + 1,
      name,
      spec: { ...spec, _tasks: [] },
    }));
    await addWorkflows(launchpad, [newWorkflow({ fws, links: {} })]);
  }
  const share = { cpus: 2, memory: 8 };
  const cases: [string, Room, { cpus: number; memory: number }[], string[]][] = [
    ['nothing flies', room, [], ['plain', 'one core', 'four cores', 'all cores', 'much memory', 'in words']],
    ['one plain one flies', room, [share], ['plain', 'one core', 'four cores', 'much memory', 'in words']],
    ['three fly', room, [share, share, share], ['plain', 'one core', 'in words']],
    ['a large one flies', room, [{ cpus: 7, memory: 8 }], ['one core', 'much memory']],
    ['all memory is taken', room, [{ cpus: 1, memory: 31 }], ['one core']],
    [
      'shares that are no whole numbers',
      { slots: 3, cpus: 8, memory: 32 },
      [8 / 3, 8 / 3].map((cpus) => ({ cpus, memory: 32 / 3 })),
      ['plain', 'one core', 'in words'],
    ],
    [
      'one slot: everything that the machine has',
      { slots: 1, cpus: 2, memory: 4 },
      [],
      ['plain', 'one core', 'in words'],
    ],
  ];
  test('fits what there is room for', async () => {
    await using pad = await testPad();
    await filled(pad.launchpad);
    for (const [when, where, flying, fit] of cases)
      expect({ when, fit: (await names(pad.launchpad, fitting(where, flying))).sort() }).toEqual({
        when,
        fit: fit.sort(),
      });
  });

  test('what never fits is told with what it asks for, and only what is READY for this worker', async () => {
    await using pad = await testPad();
    const { launchpad } = pad;
    await filled(launchpad);
    const told = () => unfitting(launchpad, worker, room);
    expect((await told()).map(({ asks }) => asks).sort()).toEqual(['33 GiB', '8.5 CPUs']);
    expect(await unfitting(launchpad, { ...worker, category: 'other' }, room)).toEqual([]);
    const fitted = await names(launchpad, everFitting(room));
    expect(fitted).not.toContain('more cores');
    expect(fitted).not.toContain('too much memory');
    await launchpad.fireworks.updateMany({}, { $set: { state: 'RUNNING' } });
    expect(await told()).toEqual([]);
  });
});
