/** Reads a stream as text lines. Bytes that are no UTF-8 become U+FFFD; a line without end is cut at `longest` characters. */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  longest = 64 * 1024,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8');
  let held = '';
  for await (const chunk of stream) {
    held += decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = held.indexOf('\n'); end >= 0; end = held.indexOf('\n', start)) {
      yield held.slice(start, end).replace(/\r$/, '');
      start = end + 1;
    }
    held = held.slice(start);
    while (held.length > longest) {
      yield held.slice(0, longest);
      held = held.slice(longest);
    }
  }
  held += decoder.decode();
  if (held) yield held;
}
