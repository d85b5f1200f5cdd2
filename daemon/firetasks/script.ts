/** ScriptTask: shell commands, one after the other (fireworks/user_objects/firetasks/script_task.py). */
import { open } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import { z } from 'zod';
import type { Doc, FWAction } from '../../core/launchpad/index.ts';
import { type Firetask, FiretaskError, type Flight } from './firetask.ts';

const params = z.looseObject({
  script: z.union([z.string(), z.array(z.string())]),
  use_shell: z.boolean().default(true),
  shell_exe: z.string().nullish(),
  stdin_file: z.string().nullish(),
  stdin_key: z.string().nullish(),
  store_stdout: z.boolean().default(false),
  stdout_file: z.string().nullish(),
  store_stderr: z.boolean().default(false),
  stderr_file: z.string().nullish(),
  defuse_bad_rc: z.boolean().default(false),
  fizzle_bad_rc: z.boolean().nullish(),
});

type Params = z.infer<typeof params>;

/** What is kept of an output for the LaunchPad: a document holds 16 MiB, and other things must fit too. */
const MOST_STORED = 4 * 1024 * 1024;

export const scriptTask: Firetask = {
  names: ['ScriptTask'],
  params,
  async run(raw, flight) {
    const task = raw as Params;
    if (task.stdin_file && task.stdin_key) {
      throw new FiretaskError(
        'ValueError',
        'ScriptTask cannot process both a key and file as the standard in!',
      );
    }
    if (task.defuse_bad_rc && task.fizzle_bad_rc) {
      throw new FiretaskError('ValueError', 'ScriptTask cannot both FIZZLE and DEFUSE a bad returncode!');
    }
    const outputs: Output[] = [];
    for (const script of typeof task.script === 'string' ? [task.script] : task.script) {
      outputs.push(await runScript(script, task, flight));
      // As FireWorks: nothing follows a bad return code, welcome or not.
      if (outputs.at(-1)?.code !== 0) break;
    }
    return actionOf(task, outputs);
  },
};

interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

async function runScript(script: string, task: Params, flight: Flight): Promise<Output> {
  const argv = task.use_shell ? [task.shell_exe ?? '/bin/sh', '-c', script] : words(script);
  const here = (path: string) => (isAbsolute(path) ? path : resolve(flight.launchDir, path));
  const stdin = task.stdin_file
    ? await open(here(task.stdin_file)).catch((e) => fail(`stdin_file ${task.stdin_file}: ${e.message}`))
    : null;
  flight.log.debug(`Running: ${script}`);
  const child = flight.guard.start(argv, {
    cwd: flight.launchDir,
    env: flight.env,
    stdin: stdin?.fd ?? (task.stdin_key ? 'pipe' : 'ignore'),
  });
  const stop = () => void flight.guard.end(child.pid, flight.graceMs);
  flight.signal.addEventListener('abort', stop, { once: true });
  if (flight.signal.aborted) stop();
  try {
    if (task.stdin_key && child.stdin) {
      child.stdin.write(String(flight.spec[task.stdin_key] ?? ''));
      await child.stdin.end();
    }
    const [stdout, stderr, code] = await Promise.all([
      collect(child.stdout, flight, task.stdout_file ? here(task.stdout_file) : null),
      collect(child.stderr, flight, task.stderr_file ? here(task.stderr_file) : null),
      child.exited,
    ]);
    flight.signal.throwIfAborted();
    // Python tells a death by signal as its negative number.
    return { code: code > 128 && code < 160 && child.signalled() ? 128 - code : code, stdout, stderr };
  } finally {
    flight.signal.removeEventListener('abort', stop);
    await stdin?.close();
  }
}

function fail(message: string): never {
  throw new FiretaskError('FileNotFoundError', message);
}

/** Logs a stream as it comes, keeps its first part for the LaunchPad, and writes all of it to `file` when asked. */
async function collect(
  stream: ReadableStream<Uint8Array>,
  flight: Flight,
  file: string | null,
): Promise<string> {
  const sink = file ? await open(file, 'a') : null;
  const decoder = new TextDecoder();
  const logged = new TextDecoder();
  let kept = '';
  let line = '';
  for await (const chunk of stream) {
    await sink?.write(chunk);
    if (kept.length < MOST_STORED) kept += decoder.decode(chunk, { stream: true });
    const lines = (line + logged.decode(chunk, { stream: true })).split('\n');
    line = (lines.pop() ?? '').slice(-64 * 1024);
    for (const text of lines) if (text.trim()) flight.log.debug(text);
  }
  if (line.trim()) flight.log.debug(line);
  await sink?.close();
  return kept.slice(0, MOST_STORED);
}

/** Splits a command line as Python's shlex does: quotes and backslashes, no variables. */
export function words(line: string): string[] {
  const found: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < line.length; i++) {
    const c = line[i] as string;
    if (c === "'" || c === '"') {
      word ??= '';
      for (i++; i < line.length && line[i] !== c; i++) {
        if (c === '"' && line[i] === '\\' && /["\\$`]/.test(line[i + 1] ?? '')) i++;
        word += line[i];
      }
      if (i >= line.length) throw new FiretaskError('ValueError', `No closing quotation in: ${line}`);
    } else if (c === '\\') word = (word ?? '') + (line[++i] ?? '');
    else if (/\s/.test(c)) {
      if (word !== null) found.push(word);
      word = null;
    } else word = (word ?? '') + c;
  }
  if (word !== null) found.push(word);
  return found;
}

function actionOf(task: Params, outputs: readonly Output[]): Partial<FWAction> {
  const codes = outputs.map((output) => output.code);
  const bad = outputs.find((output) => output.code !== 0);
  if (bad && (task.fizzle_bad_rc ?? !task.defuse_bad_rc)) {
    throw new FiretaskError('RuntimeError', `ScriptTask fizzled! Return code: [${codes.join(', ')}]`);
  }
  const stored: Doc = {};
  // With several scripts FireWorks stores what the last one wrote, or fails; here it is what all of them wrote.
  if (task.store_stdout) stored.stdout = outputs.map((output) => output.stdout).join('');
  if (task.store_stderr) stored.stderr = outputs.map((output) => output.stderr).join('');
  stored.returncode = codes.at(-1) ?? 0;
  stored.all_returncodes = codes;
  return { stored_data: stored, ...(bad && task.defuse_bad_rc && { defuse_children: true }) };
}
