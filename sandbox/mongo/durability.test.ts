/** A write that was acknowledged survives `kill -9` of the server, and the indexes agree with the documents afterwards. */
import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Collection, type Document, MongoClient } from 'mongodb';

/** A server in a process of its own, which says its port. */
const SERVER = `
const { startMongo } = await import(${JSON.stringify(join(import.meta.dir, 'server.ts'))});
console.log((await startMongo({ dir: process.argv.at(-1) })).port);
`;

async function server(dir: string) {
  const child = Bun.spawn([process.execPath, '-e', SERVER, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const { value } = await child.stdout.getReader().read();
  const client = new MongoClient(`mongodb://127.0.0.1:${Number(new TextDecoder().decode(value))}/`, {
    retryWrites: false,
    serverSelectionTimeoutMS: 500,
  });
  return {
    client,
    c: client.db('d').collection<Document>('c'),
    async [Symbol.asyncDispose]() {
      await client.close();
      child.kill('SIGKILL');
      await child.exited;
    },
    kill: () => child.kill('SIGKILL'),
  };
}

/** Writes documents of its own until the server is gone; what is returned was acknowledged. */
async function write(c: Collection<Document>, writer: string, onAcknowledged: () => void) {
  const kept = new Map<string, number>();
  try {
    for (let n = 0; ; n++) {
      const _id = `${writer}-${n % 20}`;
      const change: Document = { $set: { n, text: 'x'.repeat(2000) }, $push: { all: n } };
      await c.updateOne({ _id } as Document, change, { upsert: true });
      kept.set(_id, n);
      onAcknowledged();
    }
  } catch {
    return kept;
  }
}

test('of a large document that several change at once every acknowledged change is there after kill -9', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-'));
  const _id = 'workflow' as unknown as Document['_id'];
  try {
    const acknowledged = new Map<string, number>();
    {
      await using first = await server(dir);
      const fields = Array.from({ length: 2000 }, (_, i) => [i, -1]);
      await first.c.insertOne({ _id, states: Object.fromEntries(fields), last: 0, n: 0 });
      const change = async (writer: number) => {
        for (let n = 0; ; n++) {
          const field = `states.${(writer * 700 + n) % 2000}`;
          await first.c.updateOne({ _id }, { $set: { [field]: n, last: n / 3 }, $inc: { n: 1 } });
          acknowledged.set(field, n);
          if (acknowledged.size === 400) first.kill();
        }
      };
      const ends = await Promise.allSettled([0, 1, 2].map(change));
      expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    }
    await using again = await server(dir);
    const document = await again.c.findOne({ _id });
    const wrong = [...acknowledged].filter(
      ([field, n]) => document?.states[field.split('.')[1] as string] !== n,
    );
    expect(wrong).toEqual([]);
    // Three more may have been done whose acknowledgements were not heard.
    const changed = Object.values(document?.states as object).filter((n) => n >= 0).length;
    expect(changed).toBe(document?.n);
    expect(changed - acknowledged.size).toBeWithin(0, 4);
  } finally {
    await rm(dir, { recursive: true });
  }
}, 60_000);

test('every acknowledged write is there after kill -9, and the indexes agree', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-'));
  try {
    for (let round = 0; round < 2; round++) {
      const kept = new Map<string, number>();
      {
        await using first = await server(dir);
        await first.c.createIndexes([{ key: { n: 1 } }, { key: { all: -1, n: 1 } }]);
        let acknowledged = 0;
        const writers = ['a', 'b', 'c', 'd'].map((name) =>
          write(first.c, `${round}${name}`, () => {
            if (++acknowledged === 250) first.kill();
          }),
        );
        for (const one of await Promise.all(writers)) for (const [id, n] of one) kept.set(id, n);
        expect(acknowledged).toBeGreaterThanOrEqual(250);
      }
      await using again = await server(dir);
      const found = new Map(
        (await again.c.find({ _id: { $regex: `^${round}` } } as Document).toArray()).map((d) => [
          String(d._id),
          d,
        ]),
      );
      for (const [id, n] of kept) {
        const document = found.get(id);
        // One more write may have been done whose acknowledgement was not heard.
        expect([id, Number(document?.n) >= n, document?.all?.includes(n)]).toEqual([id, true, true]);
      }
      const all = await again.c.find().hint({ $natural: 1 }).toArray();
      for (const hint of ['n_1', 'all_-1_n_1', '_id_']) {
        const field = hint === '_id_' ? '_id' : hint === 'n_1' ? 'n' : 'all';
        const indexed = await again.c
          .find({ [field]: { $gte: field === '_id' ? '' : 0 } })
          .hint(hint)
          .toArray();
        expect(new Set(indexed.map(({ _id }) => String(_id)))).toEqual(
          new Set(all.map(({ _id }) => String(_id))),
        );
      }
      for (const { _id, n } of all)
        expect((await again.c.find({ n }).toArray()).map((d) => d._id)).toContain(_id);
    }
  } finally {
    await rm(dir, { recursive: true });
  }
}, 60_000);
