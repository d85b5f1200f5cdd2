import { expect, test } from 'bun:test';
import { resolve } from 'node:path';
import { isFancy, tableText } from './output.ts';

test('a table fits 80 columns: one column gives way', async () => {
  const rows = [
    { name: 'demo-0', text: 'x'.repeat(200) },
    { name: 'demo-with-a-long-name-1', text: 'short' },
  ];
  const text = await tableText(rows, [
    { title: 'NAME', value: (row) => row.name },
    { title: 'TEXT', value: (row) => row.text, shrinks: true },
  ]);
  const lines = text.split('\n');
  expect(lines).toHaveLength(3);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(lines[1]).toEndWith('…');
});

test('numbers stand to the right', async () => {
  const text = await tableText(
    [{ n: 5 }, { n: 1000 }],
    [{ title: 'N', value: (row) => row.n, align: 'right' }],
  );
  expect(text.split('\n')).toEqual(['   N', '   5', '1000']);
});

test.each([
  [{ isTTY: true }, {}, true],
  [{ isTTY: true }, { NO_COLOR: '1' }, false],
  [{ isTTY: true }, { TERM: 'dumb' }, false],
  [{}, {}, false],
])('fancy on %j with %j: %p', (stream, env, fancy) => {
  expect(isFancy(stream, env as unknown as NodeJS.ProcessEnv)).toBe(fancy);
});

test('a reader that goes away is no error, and nothing written before is lost', async () => {
  const code = `
    const { printLine } = await import(${JSON.stringify(resolve(import.meta.dir, 'output.ts'))});
    for (let i = 0; i < 200_000; i++) printLine('line ' + i);
    console.error('not reached');`;
  const child = Bun.spawn(['sh', '-c', '"$0" -e "$1" | head -n 2', process.execPath, code], {
    stdout: 'pipe',
    stderr: 'pipe',
  });
  expect(await new Response(child.stdout).text()).toBe('line 0\nline 1\n');
  expect(await new Response(child.stderr).text()).toBe('');
  expect(await child.exited).toBe(0);
});
