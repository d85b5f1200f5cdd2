/** Runs one `lpad` command line. */
import { UsageError } from '../../core/errors.ts';
import { hint } from '../../core/nearest.ts';
import { version } from '../../core/version.ts';
import { columns } from '../command_line.ts';
import { color, printLine } from '../output.ts';
import { Args, type LpadFlag, parseLpad } from './arguments.ts';
import type { LpadCommand } from './command.ts';
import { LPAD_ADMIN, LPAD_ALIASES, LPAD_COMMANDS } from './commands.ts';
import { globalFlags } from './flags.ts';
import { Session } from './session.ts';

const helpFlag: LpadFlag = { names: ['-h', '--help'], key: 'help', kind: 'switch', help: 'this help' };
const versionFlag: LpadFlag = {
  names: ['-v', '--version'],
  key: 'version',
  kind: 'switch',
  help: 'the version',
};

/** Runs `lpad` with these arguments; returns the exit code. `path` is how it was called, for messages. */
export async function runLpad(
  argv: readonly string[],
  path = 'lpad',
  env: Record<string, string | undefined> = process.env,
  cwd: string = process.cwd(),
): Promise<number> {
  const before = parseLpad(
    { path, flags: [...globalFlags, helpFlag, versionFlag], words: [], untilWord: true },
    argv,
  );
  if (before.args.on('version')) {
    printLine(`lpad (Borealis) v${version}`);
    return 0;
  }
  let [typed, ...rest] = before.rest;
  const admin = typed === 'admin';
  if (admin) [typed, ...rest] = rest;
  if (typed === undefined || typed === '-h' || typed === '--help' || before.args.on('help')) {
    printLine(await help(path));
    return 0;
  }
  const name = LPAD_ALIASES[typed] ?? typed;
  const load = Object.hasOwn(LPAD_COMMANDS, name) ? LPAD_COMMANDS[name] : undefined;
  if (!load || (admin && !LPAD_ADMIN.includes(name))) {
    const known = admin ? LPAD_ADMIN : [...Object.keys(LPAD_COMMANDS), ...Object.keys(LPAD_ALIASES)];
    throw new UsageError(
      `${path}: unknown command '${typed}'${hint(typed, known)}. See ${path} --help for all of them`,
    );
  }
  const { default: command } = await load();
  const taken = new Set(command.flags.flatMap(({ names }) => names));
  // Unlike argparse, flags of `lpad` itself may also come after the command, where it has none of that name.
  const late = [...globalFlags, helpFlag]
    .filter(({ names }) => !names.some((own) => taken.has(own)))
    .map(({ standard: _, ...flag }) => flag);
  const { args } = parseLpad(
    {
      path: `${path} ${typed}`,
      flags: [...command.flags, ...late],
      words: helpWanted(rest) ? [] : (command.words ?? []),
    },
    helpWanted(rest) ? ['--help'] : rest,
  );
  if (args.on('help')) {
    printLine(commandHelp(path, name, command));
    return 0;
  }
  const both = new Map([...before.args.values, ...args.values]);
  await using session = new Session(new Args(both), env, cwd);
  return (await command.run(args, session)) ?? 0;
}

function helpWanted(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).some((arg) => arg === '-h' || arg === '--help');
}

async function help(path: string): Promise<string> {
  const lines = await Promise.all(
    Object.entries(LPAD_COMMANDS).map(async ([name, load]) => [name, (await load()).default.summary]),
  );
  return [
    "FireWorks' lpad: adds, shows and changes the workflows of a LaunchPad.",
    '',
    `${color.bold('Usage:')} ${path} [FLAGS] COMMAND ...`,
    '',
    color.bold('Flags:'),
    ...columns([...globalFlags, helpFlag, versionFlag].map(flagLine)),
    '',
    color.bold('Commands:'),
    ...columns(lines),
    '',
    `${path} COMMAND --help says more about one, with examples.`,
  ].join('\n');
}

function commandHelp(path: string, name: string, command: LpadCommand): string {
  const words = command.words ?? [];
  const usage = words.map(({ title, kind, least = 0 }) =>
    kind !== 'texts' ? title : least > 0 ? `${title} ...` : `[${title} ...]`,
  );
  const aliases = Object.keys(LPAD_ALIASES).filter((alias) => LPAD_ALIASES[alias] === name);
  if (LPAD_ADMIN.includes(name)) aliases.push(`admin ${name}`);
  return [
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.${aliases.length > 0 ? ` Also: ${aliases.join(', ')}.` : ''}`,
    '',
    `${color.bold('Usage:')} ${[path, name, ...usage, '[FLAGS]'].join(' ')}`,
    ...(words.length > 0
      ? ['', color.bold('Arguments:'), ...columns(words.map((w) => [w.title, w.help]))]
      : []),
    ...(command.flags.length > 0 ? ['', color.bold('Flags:'), ...columns(command.flags.map(flagLine))] : []),
    '',
    color.bold('Examples:'),
    ...command.examples.map((line) => `  ${line}`),
  ].join('\n');
}

function flagLine({ names, kind, choices, help, standard, key }: LpadFlag): string[] {
  const value =
    kind === 'switch' ? '' : kind === 'texts' ? ` ${key.toUpperCase()} ...` : ` ${key.toUpperCase()}`;
  const options = choices && choices.length < 10 ? `: ${choices.join(', ')}` : '';
  const fallback = standard === undefined || standard === 0 ? '' : ` (default: ${standard})`;
  return [`${names.join(', ')}${value}`, `${help}${options}${fallback}`];
}
