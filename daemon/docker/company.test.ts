import { expect, test } from 'bun:test';
import { Company } from './company.ts';

const forever = new AbortController().signal;

/** Whoever enters is noted with its name; `leave` makes it leave. */
function visitors(company: Company) {
  const events: string[] = [];
  const places = new Map<string, Disposable>();
  return {
    events,
    async enter(name: string, alone = false, signal = forever) {
      places.set(name, await company.enter(alone, signal));
      events.push(name);
    },
    async leave(name: string) {
      places.get(name)?.[Symbol.dispose]();
      await Bun.sleep(0);
    },
  };
}

test('side by side as many as come', async () => {
  const { events, enter } = visitors(new Company());
  await Promise.all(['a', 'b', 'c'].map((name) => enter(name)));
  expect(events).toEqual(['a', 'b', 'c']);
});

test('who wants to be alone waits for those inside, and those that come later wait for it', async () => {
  const { events, enter, leave } = visitors(new Company());
  await enter('a');
  await enter('b');
  const waiting = [enter('alone', true), enter('c'), enter('d'), enter('alone 2', true)];
  await leave('a');
  expect(events).toEqual(['a', 'b']);
  await leave('b');
  expect(events).toEqual(['a', 'b', 'alone']);
  await leave('alone');
  expect(events).toEqual(['a', 'b', 'alone', 'c', 'd']);
  await leave('c');
  await leave('d');
  await Promise.all(waiting);
  expect(events).toEqual(['a', 'b', 'alone', 'c', 'd', 'alone 2']);
});

test('who gives up waiting holds up nobody', async () => {
  const { events, enter, leave } = visitors(new Company());
  await enter('a');
  const stop = new AbortController();
  const alone = enter('alone', true, stop.signal);
  const after = enter('b');
  stop.abort(new Error('enough'));
  await expect(alone).rejects.toThrow('enough');
  await after;
  await leave('a');
  await leave('b');
  await enter('alone 2', true);
  expect(events).toEqual(['a', 'b', 'alone 2']);
});
