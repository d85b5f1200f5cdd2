/**
 * CommandLineTask: a command whose arguments come from the spec and whose results go there
 * (fireworks/user_objects/firetasks/dataflow_tasks.py).
 */
import { copyFile, open, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import { type Doc, type FWAction, isDoc } from '../../core/launchpad/index.ts';
import { LoggedOutput } from '../lines.ts';
import { check, type Firetask, type Flight, fail, specValue } from './firetask.ts';
import { mustBeThere, runProgram } from './program.ts';
import { pythonText } from './python_text.ts';

export const params = z.looseObject({
  command_spec: z.looseObject({ command: z.array(z.string()).min(1) }),
  inputs: z.array(z.string()).nullish(),
  outputs: z.array(z.string()).nullish(),
  /** Set by a ForeachTask. */
  chunk_number: z.number().int().nullish(),
});

/** Where an argument's value comes from, or goes. */
interface End extends Doc {
  type?: unknown;
  value?: unknown;
}

interface Argument {
  binding?: Doc;
  source?: End;
  target?: End;
}

/** A command that is ready to run. */
interface Command {
  argv: string[];
  stdin: { path: string } | { text: string } | null;
  /** A file, or 'kept' for a result. */
  stdout: { path: string } | 'kept' | null;
  stderr: { path: string } | null;
}

/** What is kept of an output for the spec: a document holds 16 MiB. */
const MOST_KEPT = 16 * 1024 * 1024;

/** What is kept of the errors, for the message. */
const MOST_ERRORS = 16 * 1024;

export const commandLine: Firetask = {
  names: ['CommandLineTask'],
  params,
  async run(raw, flight) {
    const task = raw as z.infer<typeof params>;
    const spec = flight.rawParams.command_spec as Doc;
    const argumentsOf = (labels: readonly string[]) =>
      labels.map((label) => argumentsNamed(label, spec, flight));
    const inputs = argumentsOf(task.inputs ?? []).flat();
    const outputs = argumentsOf(task.outputs ?? []).map(([first = {}]) => first);
    await inFolders(outputs, flight);
    const command = compose(task.command_spec.command, inputs, outputs);
    const stdout = await execute(command, flight);
    const results: Doc[] = [];
    for (const { source, target = {} } of outputs) {
      if (source?.type === 'path')
        await copyFile(resolve(flight.launchDir, textOf(source)), resolve(flight.launchDir, textOf(target)));
      results.push(target.type === 'data' ? { ...target, value: stdout.trim() } : target);
    }
    return actionOf(task.outputs ?? [], results, task.chunk_number != null);
  },
};

/** What a label stands for: one argument, or a list of them that is in the spec. */
function argumentsNamed(label: string, commandSpec: Doc, { rawSpec }: Flight): Argument[] {
  if (!Object.hasOwn(commandSpec, label)) fail('KeyError', `'${label}' is not in command_spec`);
  const told = commandSpec[label];
  if (typeof told === 'string')
    return [specValue(rawSpec, told)].flat().map((item) => {
      if (!isDoc(item)) fail('TypeError', `'${told}' in the spec is neither an argument nor a list of them`);
      return 'source' in item ? (item as Argument) : { source: item };
    });
  if (!isDoc(told))
    fail('ValueError', `'${label}' in command_spec must be a dictionary or a key of the spec`);
  const argument: Argument = {};
  for (const key of ['binding', 'source', 'target'] as const) {
    if (!Object.hasOwn(told, key)) continue;
    const part = typeof told[key] === 'string' ? specValue(rawSpec, told[key]) : told[key];
    if (!isDoc(part)) fail('ValueError', `'${key}' of '${label}' must be a dictionary or a key of the spec`);
    argument[key] = part;
  }
  return [argument];
}

/** A target that is a folder becomes a file in it, with a name of its own. */
async function inFolders(outputs: Argument[], { launchDir }: Flight): Promise<void> {
  for (const output of outputs) {
    const { target } = output;
    if (target?.type !== 'path' || typeof target.value !== 'string') continue;
    const found = await stat(resolve(launchDir, target.value)).catch(() => null);
    if (found?.isDirectory()) output.target = { ...target, value: join(target.value, crypto.randomUUID()) };
  }
}

/** The command with its arguments, and where its streams come from and go. */
export function compose(
  command: readonly string[],
  inputs: readonly Argument[],
  outputs: readonly Argument[],
): Command {
  const made: Command = { argv: [...command], stdin: null, stdout: null, stderr: null };
  const add = (word: string) => void (word && made.argv.push(word));
  for (const { binding, source, target } of inputs) {
    check(source !== undefined, 'input has no key "source"');
    check(source.type != null && source.value != null, 'the source of an input needs type and value');
    if (source.type !== 'path' && source.type !== 'data') notKnown(source.type);
    if (target) {
      check(target.type === 'stdin', 'the target of an input can only be stdin');
      made.stdin = source.type === 'path' ? { path: textOf(source) } : { text: textOf(source) };
    }
    add(prefixOf(binding) + (target ? '' : textOf(source)));
  }
  for (const { binding, source, target } of outputs) {
    check(target !== undefined, 'output has no key "target"');
    let word = prefixOf(binding);
    if (target.type === 'data') made.stdout = 'kept';
    else if (target.type === 'path') {
      const path = textOf(target);
      check(path.length > 0, 'the target of an output needs a path');
      if (source?.type === 'stdout') made.stdout = { path };
      else if (source?.type === 'stderr') made.stderr = { path };
      else if (source?.type !== 'path') word += path;
    } else notKnown(target.type);
    add(word);
  }
  return made;
}

function prefixOf(binding: Doc | undefined): string {
  return [binding?.prefix, binding?.separator].map((part) => (part == null ? '' : pythonText(part))).join('');
}

function textOf({ value }: End): string {
  return pythonText(value);
}

function notKnown(type: unknown): never {
  return fail(
    'NotImplementedError',
    `CommandLineTask: the type '${type}' has no meaning here; 'path' and 'data' have`,
  );
}

/** Runs it, and returns what it wrote to stdout when that is kept. */
async function execute({ argv, stdin, stdout, stderr }: Command, flight: Flight): Promise<string> {
  mustBeThere(argv[0] as string, flight);
  await using files = new AsyncDisposableStack();
  const opened = async (path: string, flags: string) =>
    files.use(
      await open(resolve(flight.launchDir, path), flags).catch((e) =>
        fail('FileNotFoundError', messageOf(e)),
      ),
    );
  const input = stdin && 'path' in stdin ? await opened(stdin.path, 'r') : null;
  const [outFile, errFile] = [
    stdout && stdout !== 'kept' ? await opened(stdout.path, 'w') : null,
    stderr && (await opened(stderr.path, 'w')),
  ];
  const kept: Uint8Array[] = [];
  let size = 0;
  let errors = '';
  const [outLog, errLog] = [new LoggedOutput(flight.log), new LoggedOutput(flight.log)];
  const code = await runProgram(flight, argv, {
    stdin: input?.fd ?? (stdin && 'text' in stdin ? stdin.text : undefined),
    captured: true,
    onStdout: async (bytes) => {
      if (outFile) return await outFile.appendFile(bytes);
      outLog.write(bytes);
      if (stdout !== 'kept') return;
      size += bytes.length;
      if (size > MOST_KEPT)
        fail('ValueError', `${argv[0]} wrote more than a spec can hold: give it a target of type path`);
      kept.push(bytes);
    },
    onStderr: async (bytes) => {
      if (errFile) return await errFile.appendFile(bytes);
      errLog.write(bytes);
      errors = (errors + Buffer.from(bytes).toString()).slice(-MOST_ERRORS);
    },
  });
  outLog.end();
  errLog.end();
  if (code !== 0)
    fail('RuntimeError', `${argv.join(' ')} ended with exit code ${code}${errors && `: ${errors.trim()}`}`);
  return Buffer.concat(kept).toString();
}

/** Results go to the keys of their labels; those of a part of a ForeachTask are added to the lists there. */
function actionOf(labels: readonly string[], results: readonly Doc[], isPart: boolean): Partial<FWAction> {
  if (results.length === 0) return {};
  if (!isPart) return { update_spec: Object.fromEntries(labels.map((label, i) => [label, results[i]])) };
  const push = (label: string | undefined, item: unknown) => ({ _push: { [label as string]: item } });
  // Of several outputs FireWorks 2.1 adds the keys of each result, not the result.
  const items = (result: Doc) => (labels.length > 1 ? Object.keys(result) : [result]);
  return { mod_spec: results.flatMap((result, i) => items(result).map((item) => push(labels[i], item))) };
}
