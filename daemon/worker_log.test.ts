import { expect, test } from 'bun:test';
import { join } from 'node:path';

test.each([
  ['thrown', `setTimeout(() => { throw new Error('a fault'); }, 1)`],
  ['of a promise that nobody has', `void Promise.reject(new Error('a fault'))`],
])('a fault that nobody caught, %s, is told like all else', async (_, fault) => {
  const program = `
    const { WorkerLog } = await import(${JSON.stringify(join(import.meta.dir, 'worker_log.ts'))});
    new WorkerLog({ worker: 'w', json: true, cloud: null }).tellDeath(70);
    ${fault};
    await Bun.sleep(5000);`;
  const child = Bun.spawn([process.execPath, '-e', program], { stderr: 'pipe' });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect([await child.exited, err]).toEqual([70, '']);
  expect(JSON.parse(out)).toMatchObject({
    severity: 'ERROR',
    message: 'Died of a fault of its own: a fault',
    labels: { worker: 'w' },
    stack: expect.stringContaining('a fault'),
  });
});
