/** Python's text mode for reading: every \r\n, and every \r alone, is a \n. */
import { Transform } from 'node:stream';

export function oneNewline(): Transform {
  // A \r at the end of one buffer may belong to a \n at the beginning of the next.
  let open = false;
  return new Transform({
    transform(bytes: Buffer, _, done) {
      let text = bytes.toString('latin1');
      if (open && text.startsWith('\n')) text = text.slice(1);
      open = text.endsWith('\r');
      done(null, Buffer.from(text.replace(/\r\n?/g, '\n'), 'latin1'));
    },
  });
}
