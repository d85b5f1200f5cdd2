import { expect, test } from 'bun:test';
import { Shared } from './shared.ts';

const forever = new AbortController().signal;

/** Work that ends when the test says so; how often it began, and whether it was aborted. */
function job() {
  const runs: { end: (value: number) => void; fail: (thrown: Error) => void; signal: AbortSignal }[] = [];
  const work = (signal: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    runs.push({ end: resolve, fail: reject, signal });
    signal.addEventListener('abort', () => reject(signal.reason));
    return promise;
  };
  return { runs, work };
}

test('who comes while it is under way gets the same; who comes later begins anew', async () => {
  const shared = new Shared<number>();
  const { runs, work } = job();
  let joined = 0;
  const onJoined = () => joined++;
  const both = [1, 2].map(() => shared.join('k', forever, { work, onJoined }));
  const other = shared.join('other', forever, { work });
  runs[0]?.end(7);
  runs[1]?.end(8);
  expect([await Promise.all(both), await other, joined, runs.length]).toEqual([[7, 7], 8, 1, 2]);
  const later = shared.join('k', forever, { work });
  runs[2]?.end(9);
  expect(await later).toBe(9);
});

test('all hear of a failure', async () => {
  const shared = new Shared<number>();
  const { runs, work } = job();
  const both = [1, 2].map(() => shared.join('k', forever, { work }).catch((e) => e.message));
  runs[0]?.fail(new Error('no'));
  expect(await Promise.all(both)).toEqual(['no', 'no']);
});

test('it goes on as long as one waits, and is aborted when the last one gives up', async () => {
  const shared = new Shared<number>();
  const { runs, work } = job();
  const [first, second] = [new AbortController(), new AbortController()];
  const one = shared.join('k', first.signal, { work }).catch((e) => e.message);
  const two = shared.join('k', second.signal, { work }).catch((e) => e.message);
  first.abort(new Error('first gives up'));
  expect([await one, runs[0]?.signal.aborted]).toEqual(['first gives up', false]);
  second.abort(new Error('second gives up'));
  expect([await two, runs[0]?.signal.aborted]).toEqual(['second gives up', true]);
  const again = shared.join('k', forever, { work });
  runs[1]?.end(1);
  expect(await again).toBe(1);
});
