/**
 * 200 random stories told to Python FireWorks and to ours, in two databases of the same server: in the end the documents are equal, field by field and type by type, but for what core/launchpad/recorded/snapshot.ts says is not copied.
 *
 * BOREALIS_SEED=n tells other stories.
 */
import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { LaunchPad, launchPadSettings } from '../core/launchpad/index.ts';
import { violations } from '../core/launchpad/invariants.ts';
import { stories as anyStory, type Story } from '../core/launchpad/random/story.ts';
import { tell } from '../core/launchpad/random/tell.ts';
import { type Snapshot, snapshot } from '../core/launchpad/recorded/snapshot.ts';
import { type Mongo, startMongo } from '../sandbox/mongo/server.ts';

const python = process.env.BOREALIS_PYTHON;
const STORIES = Number(process.env.BOREALIS_STORIES ?? 200);
const seed = Number(process.env.BOREALIS_SEED ?? 1);

test.skipIf(!python)(
  'random workflows end as in Python FireWorks (needs BOREALIS_PYTHON)',
  async () => {
    const server = process.env.MONGODB_URI ? null : await startMongo({});
    const uri = process.env.MONGODB_URI ?? (server as Mongo).uri;
    const [ours, theirs] = await Promise.all([openNew(uri), openNew(uri)]);
    try {
      await using teller = await pythonTeller(uri, theirs.db.databaseName);
      for (const [i, story] of fc.sample(anyStory, { numRuns: STORIES, seed }).entries()) {
        await ours.reset();
        const [ended] = await Promise.all([teller.tell(story), tell(ours, story)]);
        const which = `story ${i} of seed ${seed}: ${JSON.stringify(story)}`;
        expect({ which, ended, broken: await violations(ours) }).toEqual({ which, ended: null, broken: [] });
        const [a, b] = [await read(ours, story), await read(theirs, story)];
        if (!Bun.deepEquals(a, b)) throw new Error(`${which}\n${firstDifference(a, b)}`);
      }
    } finally {
      await Promise.all([ours, theirs].map(({ db }) => db.dropDatabase()));
      await Promise.all([ours.close(), theirs.close()]);
      await server?.stop();
    }
  },
  600_000,
);

/**
 * All documents. Not compared: what a Firetask returned to be added, which is kept in the action as that Firetask wrote it.
 *
 * And not copied: when FireWorks finds a lost run and reruns it, it first lets the Firework be FIZZLED, so that a child which
 * allows that is READY for a moment, and for ever after has a `_fizzled_parents` that is not true.
 */
async function read(launchpad: LaunchPad, story: Story): Promise<Snapshot> {
  const all = await snapshot(launchpad);
  withoutGrowth(all);
  if (story.steps.some((step) => step.do === 'lose' && step.rerun))
    for (const { spec } of all.fireworks ?? []) delete spec._fizzled_parents;
  return all;
}

/** Empties the additions and detours of every action in `value`; reports of fizzled parents have some too. */
function withoutGrowth(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if ('defuse_workflow' in value && 'stored_data' in value)
    Object.assign(value, { additions: [], detours: [] });
  for (const inner of Object.values(value)) withoutGrowth(inner);
}

async function openNew(uri: string): Promise<LaunchPad> {
  const name = `stories_${crypto.randomUUID().slice(0, 8)}`;
  return await LaunchPad.open(launchPadSettings({ host: uri, uri_mode: true, name }, 'test'));
}

/** A Python process that tells one story after the other, each in an emptied database. */
async function pythonTeller(uri: string, database: string) {
  const folder = await mkdtemp(join(tmpdir(), 'borealis-stories-'));
  const script = join(import.meta.dir, 'python', 'tell.py');
  const child = Bun.spawn([python as string, '-B', script, uri, database], {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const answers = lines(child.stdout);
  return {
    /** The error that ended the story, or null. */
    async tell(story: Story): Promise<string | null> {
      child.stdin.write(`${JSON.stringify(story)}\n`);
      await child.stdin.flush();
      const { value } = await answers.next();
      return value === undefined ? `tell.py ended with ${await child.exited}` : JSON.parse(value);
    },
    async [Symbol.asyncDispose]() {
      await child.stdin.end();
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = parts.pop() as string;
    yield* parts;
  }
}

/** Where two snapshots part first, for the person who reads the failure. */
function firstDifference(ours: unknown, theirs: unknown, path = ''): string {
  const both = [ours, theirs];
  if (both.every((value) => typeof value === 'object' && value !== null)) {
    const [a, b] = both as [Record<string, unknown>, Record<string, unknown>];
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
      if (!Bun.deepEquals(a[key], b[key])) return firstDifference(a[key], b[key], `${path}.${key}`);
  }
  return `${path}: ours ${JSON.stringify(ours)}, Python's ${JSON.stringify(theirs)}`;
}
