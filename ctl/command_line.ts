/**
 * The command line's own rules, on top of citty: which command is meant, its help with examples, and no flag that nobody
 * knows. citty alone ignores unknown flags, and a mistyped `--cuont 3` must not start a fleet of one.
 */
import type { ArgDef, ArgsDef, CommandDef } from 'citty';
import { UsageError } from '../core/errors.ts';
import { hint } from '../core/nearest.ts';
import { color, printLine } from './output.ts';

/** What the file of a command exports. */
export interface CommandModule {
  /** Made by citty's `defineCommand`. Its `run` may return an exit code; nothing means 0. */
  default: unknown;
  /** Whole command lines, at least two, shown by `--help`. */
  examples?: readonly string[];
  /** Commands below this one, by the word that names them. */
  subcommands?: Commands;
  /** Arguments beyond those that `args` names are welcome (after `--`, or positional): `rawArgs` has them. */
  takesRest?: boolean;
  /** The command reads its whole command line itself, `--help` included. */
  passThrough?: boolean;
}

/** Loaded when asked for: `--version` must not wait for the cloud's libraries. */
export type Commands = Record<string, () => Promise<CommandModule>>;

/**
 * Finds the command that `argv` names, checks its flags and runs it. Returns the exit code. `words` are those that led here
 * (`borealisctl sandbox`). Throws UsageError for unknown commands and flags, and whatever the command throws.
 */
export async function runCommandLine(
  words: readonly string[],
  commands: Commands,
  argv: readonly string[],
): Promise<number> {
  const [name, ...rest] = argv;
  const path = words.join(' ');
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const below = name === 'help' ? commands[rest[0] ?? ''] : undefined;
    if (below) return await runModule([...words, rest[0] as string], await below(), ['--help']);
    printLine(await listHelp(path, commands));
    return name === undefined ? 2 : 0;
  }
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load) return await runModule([...words, name], await load(), rest);
  const known = Object.keys(commands);
  const what = name.startsWith('-') ? `unknown flag ${name}` : `unknown command '${name}'`;
  throw new UsageError(`${path}: ${what}${hint(name, known)}. Commands: ${known.join(', ')}`);
}

async function runModule(words: readonly string[], module: CommandModule, argv: string[]): Promise<number> {
  if (module.subcommands) return await runCommandLine(words, module.subcommands, argv);
  const command = module.default as CommandDef;
  const args = ((typeof command.args === 'function' ? await command.args() : await command.args) ??
    {}) as ArgsDef;
  if (!module.passThrough) {
    if (asksForHelp(argv, args)) {
      printLine(await commandHelp(words.join(' '), module, args));
      return 0;
    }
    checkArgs(words.join(' '), argv, args, module.takesRest ?? false);
  }
  const { runCommand } = await import('citty');
  const { result } = await runCommand(command, { rawArgs: argv });
  return typeof result === 'number' ? result : 0;
}

function asksForHelp(argv: readonly string[], args: ArgsDef): boolean {
  const end = argv.indexOf('--');
  const own = end < 0 ? argv : argv.slice(0, end);
  return own.includes('--help') || (own.includes('-h') && !findFlag(args, 'h'));
}

interface Flag {
  name: string;
  def: ArgDef;
}

/** A flag by any of its names; `dry-run`, `dryRun` and `dry_run` are one. */
function findFlag(args: ArgsDef, typed: string): Flag | null {
  const same = (a: string, b: string) => a === b || (a.length > 1 && kebab(a) === kebab(b));
  for (const [name, def] of Object.entries(args)) {
    if (def.type === 'positional') continue;
    if ([name, ...aliasesOf(def)].some((known) => same(known, typed))) return { name, def };
  }
  return null;
}

export const kebab = (name: string) =>
  name.replaceAll('_', '-').replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

export function aliasesOf(def: ArgDef): string[] {
  const alias = 'alias' in def ? def.alias : undefined;
  return alias === undefined ? [] : Array.isArray(alias) ? alias : [alias];
}

const takesValue = (def: ArgDef) => def.type === 'string' || def.type === 'enum';

/** One flag of a command line with its value; `name` is the one in the command's `args`. Positionals have no name. */
interface Token {
  name: string | null;
  value: string;
}

/** Splits a command line as citty does, and throws UsageError where citty would look away. */
function tokens(path: string, argv: readonly string[], args: ArgsDef): { tokens: Token[]; rest: string[] } {
  const found: Token[] = [];
  const fault = (text: string): never => {
    throw new UsageError(`${path}: ${text}. See ${path} --help`);
  };
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i] as string;
    if (arg === '--') return { tokens: found, rest: argv.slice(i + 1) };
    if (!arg.startsWith('-') || arg === '-' || /^-\d/.test(arg)) {
      found.push({ name: null, value: arg });
      continue;
    }
    const next = (flag: string): string => {
      const value = argv[++i];
      if (value === undefined || (/^-./.test(value) && !/^-\d/.test(value))) fault(`${flag} needs a value`);
      return value as string;
    };
    if (arg.startsWith('--')) {
      const [typed = '', ...after] = arg.slice(2).split('=');
      const given = after.length > 0 ? after.join('=') : undefined;
      const flag = findFlag(args, typed);
      if (flag && takesValue(flag.def)) {
        found.push({ name: flag.name, value: given ?? next(`--${typed}`) });
      } else if (flag) {
        if (given !== undefined && !['true', 'false'].includes(given)) fault(`--${typed} takes no value`);
        found.push({ name: flag.name, value: given ?? 'true' });
      } else if (typed.startsWith('no-') && findFlag(args, typed.slice(3))?.def.type === 'boolean') {
        found.push({ name: (findFlag(args, typed.slice(3)) as Flag).name, value: 'false' });
      } else fault(`unknown flag --${typed}${hint(`--${typed}`, flagNames(args))}`);
      continue;
    }
    for (let at = 1; at < arg.length; at++) {
      const letter = arg[at] as string;
      const flag = findFlag(args, letter);
      if (!flag) fault(`unknown flag -${letter}${hint(arg, flagNames(args))}`);
      else if (takesValue(flag.def)) {
        const attached = arg.slice(at + 1);
        found.push({ name: flag.name, value: attached || next(`-${letter}`) });
        break;
      } else found.push({ name: flag.name, value: 'true' });
    }
  }
  return { tokens: found, rest: [] };
}

function flagNames(args: ArgsDef): string[] {
  const flags = Object.entries(args).filter(([, def]) => def.type !== 'positional');
  const names = flags.flatMap(([name, def]) => [name, ...aliasesOf(def)]);
  return [...names, 'help'].map((name) => (name.length === 1 ? `-${name}` : `--${kebab(name)}`));
}

/** Throws UsageError for what citty would pass over: unknown flags, missing values, too many or too few words. */
export function checkArgs(path: string, argv: readonly string[], args: ArgsDef, takesRest = false): void {
  const { tokens: found, rest } = tokens(path, argv, args);
  const words = found.filter(({ name }) => name === null).map(({ value }) => value);
  const positionals = Object.entries(args).filter(([, def]) => def.type === 'positional');
  const extra = [...words, ...rest][positionals.length];
  if (extra !== undefined && !takesRest) {
    throw new UsageError(`${path}: '${extra}' is one word too many. See ${path} --help`);
  }
  for (const [i, [name, def]] of positionals.entries()) {
    if (words[i] === undefined && rest[i - words.length] === undefined && isRequired(def)) {
      throw new UsageError(`${path}: ${name.toUpperCase()} is missing. See ${path} --help`);
    }
  }
  for (const [name, def] of Object.entries(args)) {
    if (def.type === 'positional') continue;
    const own = found.filter((token) => token.name === name);
    if (own.length === 0 && def.required === true && def.default === undefined)
      throw new UsageError(`${path}: --${kebab(name)} is missing. See ${path} --help`);
    const options = def.type === 'enum' ? (def.options ?? []) : [];
    const wrong = own.find(({ value }) => options.length > 0 && !options.includes(value));
    if (wrong)
      throw new UsageError(
        `${path}: --${kebab(name)}=${wrong.value}: it is one of ${options.join(', ')}${hint(wrong.value, options)}`,
      );
  }
}

/** Every value of a flag that may be given more than once, in order: citty keeps the last alone. */
export function everyValue(argv: readonly string[], args: ArgsDef, name: string): string[] {
  return tokens('', argv, args)
    .tokens.filter((token) => token.name === name)
    .map(({ value }) => value);
}

function isRequired(def: ArgDef): boolean {
  return def.required !== false && def.default === undefined;
}

async function metaOf(module: CommandModule): Promise<{ description?: string }> {
  const { meta } = module.default as CommandDef;
  return (typeof meta === 'function' ? await meta() : await meta) ?? {};
}

async function listHelp(path: string, commands: Commands): Promise<string> {
  const modules = await Promise.all(Object.values(commands).map((load) => load()));
  const lines = await Promise.all(
    Object.keys(commands).map(async (name, i) => [
      name,
      (await metaOf(modules[i] as CommandModule)).description ?? '',
    ]),
  );
  return [
    `${color.bold('Usage:')} ${path} COMMAND ...`,
    '',
    color.bold('Commands:'),
    ...columns(lines),
    '',
    `${path} COMMAND --help says more about one, with examples.`,
  ].join('\n');
}

/** The help of one command: what it does, its arguments, flags and examples. */
export async function commandHelp(path: string, module: CommandModule, args: ArgsDef): Promise<string> {
  const { description = '' } = await metaOf(module);
  const positionals = Object.entries(args).filter(([, def]) => def.type === 'positional');
  const flags = Object.entries(args).filter(([, def]) => def.type !== 'positional');
  const usage = positionals.map(([name, def]) =>
    isRequired(def) ? name.toUpperCase() : `[${name.toUpperCase()}]`,
  );
  const section = (title: string, lines: string[][]) =>
    lines.length > 0 ? ['', color.bold(`${title}:`), ...columns(lines)] : [];
  return [
    `${description.charAt(0).toUpperCase()}${description.slice(1)}.`,
    '',
    `${color.bold('Usage:')} ${[path, ...usage, ...(flags.length > 0 ? ['[FLAGS]'] : []), ...(module.takesRest ? ['...'] : [])].join(' ')}`,
    ...section(
      'Arguments',
      positionals.map(([name, def]) => [name.toUpperCase(), explained(def)]),
    ),
    ...section(
      'Flags',
      flags.map(([name, def]) => [flagTitle(name, def), explained(def)]),
    ),
    ...section(
      'Examples',
      (module.examples ?? []).map((line) => [line]),
    ),
  ].join('\n');
}

function flagTitle(name: string, def: ArgDef): string {
  const names = [name, ...aliasesOf(def)].sort((a, b) => a.length - b.length);
  const title = names.map((one) => (one.length === 1 ? `-${one}` : `--${kebab(one)}`)).join(', ');
  const indent = names[0]?.length === 1 ? '' : '    ';
  const value = def.type === 'enum' ? def.options?.join('|') : (def.valueHint ?? name.toUpperCase());
  return `${indent}${title}${takesValue(def) ? ` ${value}` : ''}`;
}

function explained(def: ArgDef): string {
  const standard = def.default === undefined || def.default === false ? '' : ` (default: ${def.default})`;
  return `${def.description ?? ''}${standard}`;
}

/** Two columns, the second one wrapped at 80. */
export function columns(lines: readonly string[][]): string[] {
  const width = Math.min(30, Math.max(...lines.map(([first = '']) => first.length))) + 4;
  return lines.flatMap(([first = '', text]) => {
    if (!text) return [`  ${first}`];
    const wrapped = wrap(text, Math.max(30, 80 - width));
    const head = `  ${first}`;
    if (head.length + 2 > width) return [head, ...wrapped.map((line) => ' '.repeat(width) + line)];
    return wrapped.map((line, i) => (i === 0 ? head.padEnd(width) : ' '.repeat(width)) + line);
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
