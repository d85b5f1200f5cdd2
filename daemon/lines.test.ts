import { describe, expect, test } from 'bun:test';
import { loggerTo } from '../core/log.ts';
import { Lines, LoggedOutput } from './lines.ts';

/** What comes out of chunks that go in, and at the end. */
function linesOf(chunks: (string | number[])[], longest?: number): string[] {
  const lines = new Lines(longest);
  const bytes = (chunk: string | number[]) =>
    typeof chunk === 'string' ? Buffer.from(chunk) : Uint8Array.from(chunk);
  return [...chunks.flatMap((chunk) => [...lines.push(bytes(chunk))]), ...lines.end()];
}

describe('lines', () => {
  const cases: [string, (string | number[])[], string[]][] = [
    ['none', [], []],
    ['whole', ['a\nb\n'], ['a', 'b']],
    ['without an end', ['a\nb'], ['a', 'b']],
    ['over chunks', ['a', 'b\nc', '\n'], ['ab', 'c']],
    ['empty ones are lines', ['\n\na\n'], ['', '', 'a']],
    ['of Windows', ['a\r\nb\r', '\n'], ['a', 'b']],
    ['a character over chunks', [[0xce], [0xbb, 0x0a]], ['λ']],
    ['no UTF-8', [[0x61, 0xff, 0x62, 0x0a]], ['a\ufffdb']],
    ['a character that was cut off', [[0x61, 0xce]], ['a\ufffd']],
    ['NUL', ['a\0b\n'], ['a\0b']],
  ];
  test.each(cases)('%s', (_, chunks, lines) => expect(linesOf(chunks)).toEqual(lines));

  test('a line that is too long comes in pieces, whether it ends or not', () => {
    expect(linesOf(['abcdefgh\nij'], 3)).toEqual(['abc', 'def', 'gh', 'ij']);
    expect(linesOf(['abcd', 'efgh'], 3)).toEqual(['abc', 'def', 'gh']);
    expect(linesOf(['abc\n'], 3)).toEqual(['abc']);
    // Not within a character, when there is one.
    expect(linesOf(['aλλ\nλλ', 'λ'], 4)).toEqual(['aλ', 'λ', 'λλ', 'λ']);
    expect(linesOf([[0x80, 0x80, 0x80, 0x80, 0x80]], 2).join('')).toBe('\ufffd'.repeat(5));
  });

  test('a short line keeps nothing in memory of what came with it', () => {
    const lines = new Lines();
    const chunk = Buffer.concat([
      Buffer.from('a short line\n'),
      Buffer.alloc(60_000, 'x'),
      Buffer.from('\n'),
    ]);
    const kept: string[] = [];
    const round = () => {
      for (let i = 0; i < 2000; i++)
        for (const line of lines.push(chunk)) if (line.length < 20) kept.push(line);
      Bun.gc(true);
      return process.memoryUsage.rss();
    };
    const before = round();
    expect(round() - before).toBeLessThan(60e6);
    expect(kept.length).toBe(4000);
  });

  test('output without line ends is not gathered', () => {
    const lines = new Lines(1000);
    let out = 0;
    for (let i = 0; i < 1000; i++) for (const line of lines.push(Buffer.alloc(1000, 'x'))) out += line.length;
    expect(out).toBe(999_000);
  });
});

test('a task’s output in the log: no empty lines, no spaces at the end', () => {
  const said: string[] = [];
  const logged = new LoggedOutput(
    loggerTo([({ severity, message }) => void said.push(`${severity} ${message}`)]),
  );
  logged.write(Buffer.from('one \n\n  \n  two\nthr'));
  logged.write(Buffer.from('ee'));
  logged.end();
  expect(said).toEqual(['DEBUG one', 'DEBUG   two', 'DEBUG three']);
});
