import { expect, test } from 'bun:test';
import { type LogLine, loggerTo } from '../../core/log.ts';
import { until } from '../test_worker.ts';
import { Progress } from './progress.ts';

test('a transfer that takes long tells how far it is and how fast; a short one only in the debug log', async () => {
  const said: LogLine[] = [];
  const log = loggerTo([(line) => void said.push(line)]);
  {
    using progress = new Progress('Fetched', { files: 2, bytes: 3 * 2 ** 20 }, log, 5);
    progress.onBytes(2 ** 20);
    progress.fileDone();
    await until('it tells', () => said.length > 0);
    progress.onBytes(3 * 2 ** 20);
    // Spoilt: they must come again.
    progress.onBytes(-(2 ** 20));
    expect(progress.bytes).toBe(3 * 2 ** 20);
  }
  expect(said[0]?.severity).toBe('INFO');
  expect(said[0]?.message).toMatch(
    /^Fetched 1 of 2 files, 1 MiB of 3 MiB in \d+\.\d s \([\d.]+ [KMG]iB\/s\) so far$/,
  );
  const told = said.length;
  {
    using progress = new Progress('Stored', { files: 1, bytes: 10 }, log);
    progress.onBytes(10);
    progress.fileDone();
    progress.done();
  }
  expect(said.slice(told).map(({ severity, message }) => [severity, message.split(' in ')[0]])).toEqual([
    ['DEBUG', 'Stored 1 of 1 files, 0.00977 KiB of 0.00977 KiB'],
  ]);
});
