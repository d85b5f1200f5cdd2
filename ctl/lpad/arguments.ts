/**
 * The command line of `lpad`, read as Python's argparse reads FireWorks': flags of several letters behind one dash (`-wfi`),
 * flags that take several values, long flags by their beginning. citty knows none of these.
 */
import { UsageError } from '../../core/errors.ts';
import { hint } from '../../core/nearest.ts';

export interface LpadFlag {
  /** `-i`, `--fw_id`: as typed; `_` and `-` inside are one. */
  names: readonly string[];
  /** Under which `Args` has it. */
  key: string;
  kind: 'switch' | 'text' | 'integer' | 'ids' | 'integers' | 'texts' | 'choice';
  /** `texts` that may be none. */
  mayBeNone?: boolean;
  choices?: readonly string[];
  /** What a choice is changed to before it is looked up. */
  fold?: 'upper' | 'lower';
  help: string;
  standard?: string | number;
}

/** What follows a command without a dash. */
export interface LpadWord {
  key: string;
  title: string;
  kind: 'text' | 'integer' | 'texts';
  /** `texts`: at least this many. */
  least?: number;
  help: string;
}

type Value = string | number | boolean | number[] | string[];

/** What was given on a command line. */
export class Args {
  constructor(readonly values: ReadonlyMap<string, Value>) {}

  text(key: string): string | undefined {
    return this.values.get(key) as string | undefined;
  }

  number(key: string): number | undefined {
    return this.values.get(key) as number | undefined;
  }

  on(key: string): boolean {
    return this.values.get(key) === true;
  }

  /** Of `ids` and `integers`. */
  ids(key: string): number[] | undefined {
    return this.values.get(key) as number[] | undefined;
  }

  texts(key: string): string[] {
    return (this.values.get(key) as string[] | undefined) ?? [];
  }

  /** The text, or UsageError with `complaint`. */
  need(key: string, complaint: string): string {
    const value = this.text(key);
    if (value === undefined) throw new UsageError(complaint);
    return value;
  }
}

export interface Grammar {
  /** For messages: `lpad get_fws`. */
  path: string;
  flags: readonly LpadFlag[];
  words: readonly LpadWord[];
  /** Stop at the first word: it is a command, and what follows is its own. */
  untilWord?: boolean;
}

const isNegativeNumber = (text: string) => /^-\d+$|^-\d*\.\d+$/.test(text);
const isFlag = (text: string) => /^-./.test(text) && !isNegativeNumber(text);
const plain = (name: string) => name.replaceAll('_', '-');

/** Reads `argv`. Returns what was given and, with `untilWord`, the rest. Throws UsageError. */
export function parseLpad(grammar: Grammar, argv: readonly string[]): { args: Args; rest: string[] } {
  const values = new Map<string, Value>();
  for (const flag of grammar.flags) if (flag.standard !== undefined) values.set(flag.key, flag.standard);
  const words: string[] = [];
  let at = 0;
  const fault = (text: string): never => {
    throw new UsageError(`${grammar.path}: ${text}. See ${grammar.path} --help`);
  };
  for (; at < argv.length; at++) {
    const arg = argv[at] as string;
    if (arg === '--') {
      words.push(...argv.slice(at + 1));
      break;
    }
    if (!isFlag(arg)) {
      if (grammar.untilWord) return { args: new Args(values), rest: argv.slice(at) };
      words.push(arg);
      continue;
    }
    const { flag, attached } = findFlag(grammar, arg) ?? {};
    if (!flag)
      return fault(
        `unknown flag ${arg}${hint(
          arg,
          grammar.flags.flatMap(({ names }) => names),
        )}`,
      );
    if (flag.kind === 'switch') {
      if (attached !== undefined) fault(`${arg.split('=')[0]} takes no value`);
      values.set(flag.key, true);
      continue;
    }
    const given: string[] = attached === undefined ? [] : [attached];
    const several = flag.kind === 'texts' || flag.kind === 'integers';
    while (attached === undefined && (several || given.length === 0)) {
      const next = argv[at + 1];
      if (next === undefined || isFlag(next)) break;
      given.push(next);
      at++;
    }
    if (given.length === 0 && !flag.mayBeNone) fault(`${arg} needs a value`);
    values.set(flag.key, convert(flag, given, arg.split('=')[0] as string, fault));
  }
  takeWords(grammar.words, words, values, fault);
  return { args: new Args(values), rest: [] };
}

/** `-d count`, `-dcount`, `--display_format=count`, `--disp count`. */
function findFlag(grammar: Grammar, arg: string): { flag: LpadFlag; attached?: string } | null {
  const [name = '', ...after] = arg.split('=');
  const attached = after.length > 0 ? after.join('=') : undefined;
  const has = (test: (name: string) => boolean) => grammar.flags.filter(({ names }) => names.some(test));
  const exact = has((known) => plain(known) === plain(name))[0];
  if (exact) return { flag: exact, attached };
  if (arg.startsWith('--')) {
    const begun = has((known) => known.startsWith('--') && plain(known).startsWith(plain(name)));
    return begun.length === 1 ? { flag: begun[0] as LpadFlag, attached } : null;
  }
  const short = has((known) => known === arg.slice(0, 2))[0];
  return short && short.kind !== 'switch' ? { flag: short, attached: arg.slice(2).replace(/^=/, '') } : null;
}

function convert(flag: LpadFlag, given: string[], typed: string, fault: (text: string) => never): Value {
  const [text = ''] = given;
  const whole = (one: string) => integer(one) ?? fault(`${typed} ${one}: it must be a whole number`);
  switch (flag.kind) {
    case 'texts':
      return given;
    case 'integers':
      return given.map(whole);
    case 'integer':
      return whole(text);
    case 'ids': {
      const ids = text.split(',').map((part) => integer(part.trim()));
      if (ids.some((id) => id === undefined))
        fault(`${typed} ${text}: it must be a whole number, or several with commas between them`);
      return ids as number[];
    }
    case 'choice': {
      const folded =
        flag.fold === 'upper' ? text.toUpperCase() : flag.fold === 'lower' ? text.toLowerCase() : text;
      const choices = flag.choices ?? [];
      if (!choices.includes(folded))
        fault(`${typed} ${text}: it is one of ${choices.join(', ')}${hint(folded, choices)}`);
      return folded;
    }
    default:
      return text;
  }
}

const integer = (text: string) => (/^[+-]?\d+$/.test(text) ? Number(text) : undefined);

function takeWords(
  expected: readonly LpadWord[],
  words: readonly string[],
  values: Map<string, Value>,
  fault: (text: string) => never,
): void {
  let at = 0;
  for (const { key, title, kind, least = 0 } of expected) {
    if (kind === 'texts') {
      if (words.length - at < least) fault(`${title} is missing`);
      values.set(key, words.slice(at));
      at = words.length;
      continue;
    }
    const word = words[at++];
    if (word === undefined) return fault(`${title} is missing`);
    values.set(
      key,
      kind === 'text' ? word : (integer(word) ?? fault(`${title}: ${word} must be a whole number`)),
    );
  }
  if (at < words.length) fault(`'${words[at]}' is one word too many`);
}
