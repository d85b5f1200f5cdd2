import { BorealisError } from '../core/errors.ts';

/** Runs a program, and returns what it prints. Throws BorealisError with its last words when it fails. */
export async function run(cwd: string, argv: string[]): Promise<string> {
  const child = Bun.spawn(argv, { cwd, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new BorealisError(`${argv.join(' ')} failed:\n${err || out}`);
  return out;
}
