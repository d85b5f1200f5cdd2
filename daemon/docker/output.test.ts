import { expect, test } from 'bun:test';
import { Frames, outputOf } from './output.ts';

/** A frame as the Engine sends it: 1 is stdout, 2 stderr. */
function frame(stream: 1 | 2, content: Uint8Array): Buffer {
  const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
}

const bytes = Buffer.from('one\nzwei ü\n\u{1f600}\n');
const odd = Buffer.from([0xff, 0xfe, 0, 10]);
const stream = Buffer.concat([frame(1, bytes), frame(2, odd), frame(1, Buffer.alloc(0)), frame(2, bytes)]);
const whole = Buffer.concat([bytes, odd, bytes]);

async function* chunksOf(of: Buffer, size: number) {
  for (let at = 0; at < of.length; at += size) yield of.subarray(at, at + size);
}

test('however the stream is cut, every byte comes, in order', async () => {
  for (let size = 1; size <= stream.length; size++) {
    const pieces = await Array.fromAsync(outputOf(chunksOf(stream, size)));
    expect([size, Buffer.concat(pieces).equals(whole)]).toEqual([size, true]);
  }
});

test('frames of one chunk come as one piece, a frame of many chunks in pieces', () => {
  const frames = new Frames();
  expect(Buffer.from(frames.take(stream)).equals(whole)).toBe(true);
  const long = frame(1, Buffer.alloc(100_000, 'x'));
  const sizes = [long.subarray(0, 60_000), long.subarray(60_000)].map((part) => frames.take(part).length);
  expect(sizes).toEqual([59_992, 40_008]);
});

test('a stream that ends within a frame gives what came', async () => {
  const pieces = await Array.fromAsync(outputOf(chunksOf(frame(1, bytes).subarray(0, 12), 5)));
  expect(Buffer.concat(pieces).toString()).toBe('one\n');
});
