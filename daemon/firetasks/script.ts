/** ScriptTask: shell commands, one after the other (fireworks/user_objects/firetasks/script_task.py). */
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import { type Doc, type FWAction, toJson } from '../../core/launchpad/index.ts';
import { LoggedOutput } from '../lines.ts';
import { type Firetask, FiretaskError, type Flight, fail, flag, specValue, truth } from './firetask.ts';
import { mustBeThere, runProgram } from './program.ts';

export const params = z.looseObject({
  script: z.union([z.string(), z.array(z.string()).min(1)]),
  use_shell: flag(true),
  shell_exe: z.string().nullish(),
  stdin_file: z.string().nullish(),
  stdin_key: z.string().nullish(),
  store_stdout: flag(false),
  stdout_file: z.string().nullish(),
  store_stderr: flag(false),
  stderr_file: z.string().nullish(),
  defuse_bad_rc: flag(false),
  fizzle_bad_rc: truth.optional(),
});

type Params = z.infer<typeof params>;

/** What is kept of an output for the LaunchPad: a document holds 16 MiB, and other things must fit too. */
const MOST_STORED = 4 * 1024 * 1024;

export const scriptTask: Firetask = {
  names: ['ScriptTask'],
  params,
  globalSpec: true,
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
    // One opened file for all scripts: each reads on where the one before has stopped.
    await using stdin = task.stdin_file
      ? await open(resolve(flight.launchDir, task.stdin_file)).catch((e) =>
          fail('FileNotFoundError', `stdin_file ${task.stdin_file}: ${messageOf(e)}`),
        )
      : null;
    const outputs: Output[] = [];
    for (const script of typeof task.script === 'string' ? [task.script] : task.script) {
      outputs.push(await runScript(script, task, stdin, flight));
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

async function runScript(
  script: string,
  task: Params,
  stdin: FileHandle | null,
  flight: Flight,
): Promise<Output> {
  const argv = task.use_shell ? [task.shell_exe ?? '/bin/sh', '-c', script] : words(script);
  mustBeThere(argv[0] ?? '', flight);
  await using files = new AsyncDisposableStack();
  const opened = async (path: string) => files.use(await open(resolve(flight.launchDir, path), 'a'));
  flight.log.debug(`Running: ${script}`);
  const stdout = new Stream(flight, task.store_stdout, task.stdout_file && (await opened(task.stdout_file)));
  const stderr = new Stream(flight, task.store_stderr, task.stderr_file && (await opened(task.stderr_file)));
  const code = await runProgram(flight, argv, {
    stdin: stdin?.fd ?? (task.stdin_key ? textOf(task.stdin_key, flight) : undefined),
    onStdout: (bytes) => stdout.write(bytes),
    onStderr: (bytes) => stderr.write(bytes),
    captured: Boolean(task.store_stdout || task.stdout_file || task.store_stderr || task.stderr_file),
  });
  return { code, stdout: stdout.end(), stderr: stderr.end() };
}

function textOf(key: string, flight: Flight): string {
  const value = specValue(flight.spec, key);
  return typeof value === 'string' ? value : toJson(flight.rawSpec[key]);
}

/** Logs an output as it comes, writes all of it to a file when asked, and keeps its first part for the LaunchPad when asked. */
class Stream {
  readonly #logged: LoggedOutput;
  readonly #decoder = new TextDecoder();
  #kept = '';

  constructor(
    flight: Flight,
    readonly store: boolean,
    readonly file: FileHandle | '' | null | undefined,
  ) {
    this.#logged = new LoggedOutput(flight.log);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#logged.write(bytes);
    if (this.store && this.#kept.length < MOST_STORED)
      this.#kept += this.#decoder.decode(bytes, { stream: true });
    if (this.file) await this.file.appendFile(bytes);
  }

  /** What was kept. */
  end(): string {
    this.#logged.end();
    return `${this.#kept}${this.#decoder.decode()}`.slice(0, MOST_STORED);
  }
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
