import { expect, test } from 'bun:test';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { oneNewline } from './newlines.ts';

test('every kind of newline is one, wherever the buffers are cut', async () => {
  const source = 'a\r\nb\rc\n\r\n\r\r\n\nä';
  const bytes = Buffer.from(source);
  for (let size = 1; size <= bytes.length; size++) {
    const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    expect(await text(Readable.from(parts).pipe(oneNewline()))).toBe('a\nb\nc\n\n\n\n\nä');
  }
});
