/** The scripts in real shells: what each of them proposes for the beginning of a command line. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMANDS, OWN_NAMES } from '../commands.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { type Place, placesOf } from './tree.ts';
import { zshScript } from './zsh.ts';

let dir: string;
let places: Place[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'completion-'));
  places = await placesOf(COMMANDS);
  for (const [shell, script] of Object.entries({ bash: bashScript, zsh: zshScript, fish: fishScript }))
    await writeFile(join(dir, shell), script('borealisctl', OWN_NAMES, places));
});
afterAll(() => rm(dir, { recursive: true }));

async function run(argv: string[], input = ''): Promise<string> {
  const child = Bun.spawn(argv, {
    cwd: dir,
    env: { PATH: process.env.PATH ?? '', HOME: dir, TERM: 'dumb' },
    stdin: new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(out + err);
  return out;
}

/** What is typed; what is among the proposals; what is not. */
const CASES: [string[], string[], string[]][] = [
  [
    ['borealisctl', ''],
    ['up', 'quit-soon', 'scale', 'sandbox', 'lpad'],
    ['--count', 'preempt'],
  ],
  [['borealisctl', 'qu'], ['quit-soon', 'quit-when-idle'], ['up']],
  [
    ['borealisctl', 'up', '--'],
    ['--count', '--max-run-duration', '--any-zone', '--help'],
    ['--severity', 'up'],
  ],
  [['borealisctl', 'up', 'demo', '--co'], ['--count'], ['--base']],
  [['borealisctl', 'logs', '--severity', ''], ['DEBUG', 'ERROR'], ['--follow']],
  [['borealisctl', 'sandbox', ''], ['up', 'preempt'], ['scale']],
  [['borealisctl', 'sandbox', 'up', '--d'], ['--detach', '--dir'], ['--count']],
  [['borealisctl', 'lpad', 'get_'], ['get_wflows', 'get_fws'], ['add']],
  [['lpad', 'get_wf'], ['get_wflows'], ['get_fws']],
  [['lpad', 'get_fws', '--d'], ['--display_format'], ['--launchpad_file']],
  [['gce', '--q'], ['--quit-soon'], ['--delete']],
];

const has = (shell: string) => Bun.which(shell) !== null;
for (const shell of ['bash', 'zsh', 'fish'])
  if (!has(shell)) console.log(`${shell} is not installed: its completion is not tried`);

/** bash as readline asks it: by the function that `complete` names. */
async function inBash(words: string[]): Promise<string[]> {
  const script = `. ./bash
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
    "$(complete -p ${words[0]} | sed 's/.*-F \\([^ ]*\\).*/\\1/')" && printf '%s\\n' "\${COMPREPLY[@]}"`;
  return (await run(['bash', '--norc', '-c', script])).split('\n').filter(Boolean);
}

async function inFish(words: string[]): Promise<string[]> {
  const out = await run(['fish', '--no-config', '-c', `source ./fish; complete -C '${words.join(' ')}'`]);
  return out.split('\n').map((line) => line.split('\t')[0] ?? '');
}

/** zsh in a terminal of its own, for it completes nowhere else: Tab is typed, and what it lists is read. */
async function inZsh(words: string[]): Promise<string[]> {
  const script = `zmodload zsh/zpty
    zpty z zsh -f -i
    zpty -w z "PS1=; autoload -U compinit; compinit -u -D; source ./zsh"
    zpty -w z "zstyle ':completion:*' list-prompt ''; LISTMAX=10000; setopt no_always_last_prompt; bindkey '^I' list-choices; COLUMNS=300; LINES=500; print READY"
    zpty -r z got '*READY*READY*'
    zpty -n -w z "${words.join(' ')}"$'\\t'
    sleep 1
    zpty -n -w z $'\\C-u'"print DONE"$'\\n'
    while zpty -r z got; do print -r -- "$got"; [[ $got == *DONE* ]] && break; done
    zpty -d z`;
  const out = await run(['zsh', '-f', '-c', script]);
  return out.split(/\s+/);
}

describe.each([
  ['bash', inBash],
  ['fish', inFish],
] as const)('%s', (shell, propose) => {
  test.skipIf(!has(shell)).each(CASES)('%j', async (words, some, none) => {
    const proposals = await propose(words);
    expect(proposals).toEqual(expect.arrayContaining(some));
    for (const word of none) expect(proposals).not.toContain(word);
  });
});

test.skipIf(!has('zsh'))(
  'zsh: commands, and flags with what they are',
  async () => {
    expect(await inZsh(['borealisctl', 'qu'])).toEqual(
      expect.arrayContaining(['quit-soon', 'quit-when-idle']),
    );
    const flags = await inZsh(['borealisctl', 'up', '--']);
    expect(flags).toEqual(expect.arrayContaining(['--count', '--max-run-duration']));
    expect(flags).not.toContain('--severity');
  },
  60_000,
);

test('every command and every flag of the command lines is there', () => {
  const up = places.find(({ path }) => path === '/up');
  expect(up?.flags.map(({ names }) => names[0])).toEqual(expect.arrayContaining(['--count', '--zone']));
  expect(places.map(({ path }) => path)).toEqual(
    expect.arrayContaining(['', '/lpad', '/lpad/add', '/sandbox/preempt', '/storage/cp', '/completion']),
  );
});
