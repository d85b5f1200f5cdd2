import { expect, test } from 'bun:test';
import { MINUTE } from '../core/wait.ts';
import { Aloft } from './aloft.ts';

test('what flies, in one line', () => {
  let now = 0;
  const aloft = new Aloft(() => now);
  const said: string[] = [aloft.status(null)];
  aloft.tookOff({ launchId: 1, fwId: 12, name: 'align' });
  now = 3.9 * MINUTE;
  said.push(aloft.status(null));
  aloft.tookOff({ launchId: 2, fwId: 13, name: 'x'.repeat(100) });
  said.push(aloft.status(null));
  aloft.landed(1);
  for (let id = 3; id < 8; id++) aloft.tookOff({ launchId: id, fwId: 12 + id, name: 'n' });
  said.push(aloft.status(null));
  for (let id = 2; id < 8; id++) aloft.landed(id);
  said.push(aloft.status({ why: 'SIGTERM' }));
  const long = 'x'.repeat(60);
  expect(said).toEqual([
    'idle',
    "flying fw 12 'align' 3 min",
    `flying 2: fw 12 'align' 3 min, fw 13 '${long}' 0 min`,
    `flying 6: fw 13 '${long}' 0 min, fw 15 'n' 0 min, fw 16 'n' 0 min, fw 17 'n' 0 min, fw 18 'n' 0 min, 1 more`,
    'stopping (SIGTERM); idle',
  ]);
});
