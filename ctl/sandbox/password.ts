/** The password of a LaunchPad of one's own: never an argument, for everybody on a machine can read those. */
import { readFile } from 'node:fs/promises';
import { messageOf, UsageError } from '../../core/errors.ts';
import { askSecret } from '../prompt.ts';

export const passwordFlags = {
  user: {
    type: 'string',
    valueHint: 'U',
    description:
      'let only this user in; the password is $BOREALIS_MONGO_PASSWORD, --password-file, or asked for',
  },
  'password-file': {
    type: 'string',
    valueHint: 'FILE',
    description: 'file whose first line is the password',
  },
} as const;

/** The password for `user`; undefined without a user. Throws UsageError when there is none. */
export async function passwordFor(
  user: string | undefined,
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string | undefined> {
  if (user === undefined) {
    if (file !== undefined) throw new UsageError('--password-file needs --user U');
    return undefined;
  }
  const password = file ? await firstLine(file) : (env.BOREALIS_MONGO_PASSWORD ?? (await asked(user)));
  if (password) return password;
  throw new UsageError(`The password of ${user} is empty`);
}

async function firstLine(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((thrown) => {
    throw new UsageError(`--password-file ${file} cannot be read: ${messageOf(thrown)}`);
  });
  return text.split('\n')[0] ?? '';
}

async function asked(user: string): Promise<string> {
  if (process.stdin.isTTY) return await askSecret(`Password for ${user}: `);
  throw new UsageError(
    `There is no terminal to ask for the password of ${user}: set BOREALIS_MONGO_PASSWORD or name a --password-file`,
  );
}
