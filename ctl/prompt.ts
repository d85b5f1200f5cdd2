/** Questions on the terminal, and answers from it or from a pipe. */
import { createInterface, type Interface } from 'node:readline';
import { BorealisError } from '../core/errors.ts';
import { note, print } from './output.ts';

let lines: AsyncIterator<string> | undefined;
let reader: Interface | undefined;

/** Asks on stdout and returns the answer, one line of stdin. Throws BorealisError when stdin has ended. */
export async function ask(question: string): Promise<string> {
  print(question);
  if (!lines) {
    // One reader for all questions: what a pipe brought beyond the first line belongs to the next question.
    reader = createInterface({ input: process.stdin });
    lines = reader[Symbol.asyncIterator]();
  }
  const { value, done } = await lines.next();
  if (!done) return value;
  print('\n');
  throw new BorealisError('No answer came: nothing was done');
}

/** Lets go of stdin, so that the process can end. */
export function stopAsking(): void {
  reader?.close();
  reader = undefined;
  lines = undefined;
}

/** Asks for a secret: on a terminal what is typed is not shown. */
export async function askSecret(question: string): Promise<string> {
  const { stdin } = process;
  if (!stdin.isTTY) return await ask(question);
  print(question);
  stdin.setRawMode(true);
  stdin.resume();
  let secret = '';
  try {
    for await (const chunk of stdin) {
      for (const char of String(chunk)) {
        if (char === '\r' || char === '\n') return secret;
        if (char === '\x03' || char === '\x04')
          throw new BorealisError('No password was given: nothing was done');
        secret = char === '\x7f' || char === '\b' ? secret.slice(0, -1) : secret + char;
      }
    }
    return secret;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    note('');
  }
}
