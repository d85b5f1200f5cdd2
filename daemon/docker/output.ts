/** Takes a container's output stream apart: frames of 8 bytes of header and their content, stdout and stderr alike. */

const HEADER = 8;

/** Yields what each chunk of the stream holds, in the order in which the Engine sent it. Nothing is gathered. */
export async function* outputOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new Frames();
  for await (const chunk of stream) {
    const content = frames.take(chunk);
    if (content.length > 0) yield content;
  }
}

export class Frames {
  readonly #header = Buffer.alloc(HEADER);
  /** Bytes of the next header that have come. */
  #known = 0;
  /** Bytes of the current frame that are still to come. */
  #remaining = 0;

  /**
   * The content in a chunk, of all its frames together: programs write by the line, and a piece for each costs more than the copy.
   */
  take(chunk: Uint8Array): Uint8Array {
    const content = Buffer.allocUnsafe(chunk.length);
    let length = 0;
    for (let at = 0; at < chunk.length; ) {
      if (this.#remaining > 0) {
        const piece = chunk.subarray(at, at + this.#remaining);
        content.set(piece, length);
        length += piece.length;
        at += piece.length;
        this.#remaining -= piece.length;
        continue;
      }
      const piece = chunk.subarray(at, at + HEADER - this.#known);
      this.#header.set(piece, this.#known);
      this.#known += piece.length;
      at += piece.length;
      if (this.#known < HEADER) break;
      this.#known = 0;
      this.#remaining = this.#header.readUInt32BE(4);
    }
    return content.subarray(0, length);
  }
}
