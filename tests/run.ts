/** Runs a program of somebody else's for a test. */

export interface RunOptions {
  cwd?: string;
  /** Its whole environment. Default: this process's. */
  env?: Record<string, string | undefined>;
}

/** Returns what it prints. Throws with all of it when it fails. */
export async function run(argv: string[], o: RunOptions = {}): Promise<string> {
  const child = Bun.spawn(argv, {
    ...o,
    env: o.env ?? process.env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0)
    throw new Error(`${argv.join(' ')}: exit code ${child.exitCode}\n${out}${err}`);
  return out;
}
