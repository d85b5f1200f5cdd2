/**
 * Every command of Python's lpad is ours too, with its flags, choices and defaults. fireworks_grammar.json is what Python's
 * parser says (scripts/lpad_grammar.py); what differs is listed here, with the reason.
 */
import { expect, test } from 'bun:test';
import type { LpadFlag, LpadWord } from './arguments.ts';
import { LPAD_ADMIN, LPAD_ALIASES, LPAD_COMMANDS } from './commands.ts';
import fireworks from './fireworks_grammar.json';
import { globalFlags } from './flags.ts';

/** A flag, or a word, as both sides can be told. */
interface Told {
  kind: string;
  choices?: readonly string[];
  default?: string | number;
}

const DIFFERENCES: Record<string, string> = {
  ' --loglvl': 'five levels and no others; without it the strm_lvl of the LaunchPad file decides',
  'add_scripts scripts': 'Python takes none for none and then fails',
  'report --interval': 'five words and no others, which Python finds out later',
};

/** Ours alone: why they are there. */
const ADDED: Record<string, string> = {
  '--json': 'data for programs',
  '--yes': 'consent for scripts that do not know the date',
  'orphaned --password': 'deletes, and so asks',
};

const KINDS: Record<string, string> = { ids: 'text', choice: 'text', texts: 'text', integers: 'integer' };
const plain = (name: string) => name.replace(/^(--?)?/, '$1').replaceAll('-', '_');

function ours({ kind, choices, standard }: LpadFlag): Told {
  return {
    kind: KINDS[kind] ?? kind,
    ...(choices && { choices: [...choices].sort() }),
    ...(standard !== undefined && { default: standard }),
  };
}

function told({ kind, choices, default: standard }: Told): Told {
  return { kind, ...(choices && { choices }), ...(standard !== undefined && { default: standard }) };
}

async function grammarOf(path: string): Promise<{ flags: readonly LpadFlag[]; words: readonly LpadWord[] }> {
  if (path === '') return { flags: globalFlags, words: [] };
  const typed = path.replace(/^admin /, '');
  if (path !== typed) expect(LPAD_ADMIN).toContain(typed);
  const load = LPAD_COMMANDS[LPAD_ALIASES[typed] ?? typed];
  if (!load) throw new Error(`lpad ${path} is missing`);
  const { flags, words = [] } = (await load()).default;
  return { flags, words };
}

const paths = Object.keys(fireworks.commands).filter((path) => path !== 'admin');
const used = new Set<string>();

for (const path of paths) {
  test(`lpad ${path}`, async () => {
    const { flags, words } = await grammarOf(path);
    const theirs = fireworks.commands[path as keyof typeof fireworks.commands] as (Told & {
      names: string[];
      many?: string;
    })[];
    for (const flag of theirs) {
      const [first = ''] = flag.names;
      const difference = `${path.replace(/^admin /, '')} ${flag.names.at(-1)}`;
      if (difference in DIFFERENCES) used.add(difference);
      if (!first.startsWith('-')) {
        const word = words.find(({ key }) => key === first);
        expect([first, word?.kind]).toEqual([first, flag.many ? 'texts' : (flag.kind as 'text')]);
        if (!(difference in DIFFERENCES)) expect(word?.least ?? 0).toBe(flag.many === '+' ? 1 : 0);
        continue;
      }
      const own = flags.find(({ names }) => names.includes(first));
      if (!own) throw new Error(`lpad ${path} ${first} is missing`);
      expect(own.names.map(plain)).toEqual(flag.names.map(plain));
      if (difference in DIFFERENCES) continue;
      expect([first, ours(own)]).toEqual([first, told(flag)]);
      expect(['texts', 'integers'].includes(own.kind)).toBe(flag.many !== undefined);
    }
    const known = new Set(theirs.flatMap(({ names }) => names.map(plain)));
    for (const { names } of flags) {
      const name = names.at(-1) as string;
      const command = path.replace(/^admin /, '');
      if (!names.some((one) => known.has(plain(one))))
        expect(Object.keys(ADDED)).toContain(name in ADDED ? name : `${command} ${name}`);
    }
  });
}

test('the differences that are told exist', () => {
  expect([...used].sort()).toEqual(Object.keys(DIFFERENCES).sort());
});

test('commands that are ours alone', () => {
  const theirs = new Set(paths.map((path) => path.replace(/^admin /, '')));
  const added = [...Object.keys(LPAD_COMMANDS), ...Object.keys(LPAD_ALIASES)].filter(
    (name) => !theirs.has(name),
  );
  expect(added.sort()).toEqual([
    'cancel_reservation',
    'defuse_wfs',
    'reservations',
    // FireWorks has no way back from pause_wflows for a whole workflow.
    'resume_wflows',
    'resume_wfs',
    'trackers',
    'unreserve',
    'version',
  ]);
});

test('every command tells what it does, with two examples of itself', async () => {
  for (const [name, load] of Object.entries(LPAD_COMMANDS)) {
    const { summary, examples } = (await load()).default;
    expect([name, summary.length > 5, examples.length >= 2]).toEqual([name, true, true]);
    for (const example of examples)
      expect(example).toMatch(new RegExp(`lpad (admin )?(-l \\S+ )?${name}\\b`));
  }
});
