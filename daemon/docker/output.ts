/** Takes a container's output stream apart: frames of 8 bytes of header and their content. */

/** Yields the content of each frame (stdout and stderr alike, in the order in which the Engine sent them). */
export async function* framesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Buffer = Buffer.alloc(0);
  // Bytes of the current frame that are still to come. A large frame is passed on in pieces, never gathered.
  let remaining = 0;
  for await (const chunk of stream) {
    held = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, chunk]);
    for (;;) {
      if (remaining > 0) {
        if (held.length === 0) break;
        const piece = held.subarray(0, remaining);
        held = held.subarray(piece.length);
        remaining -= piece.length;
        yield piece;
      } else {
        if (held.length < 8) break;
        remaining = held.readUInt32BE(4);
        held = held.subarray(8);
      }
    }
  }
}
