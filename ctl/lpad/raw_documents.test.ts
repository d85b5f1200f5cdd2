import { expect, test } from 'bun:test';
import { Double, Int32, Long, ObjectId, serialize } from 'bson';
import type { Collection, Document } from 'mongodb';
import { testPad } from '../../core/launchpad/test_pad.ts';
import { among, documentsAmong, Fields, readAll, readOne } from './raw_documents.ts';

const fields = new Fields(['fw_id', 'name', 'launches', 'at']);

test('fields are read as the driver reads them, in the order of the document', () => {
  const usual = { name: 'grüße 🙂', fw_id: 7, launches: [3, -1], at: new Date(-5) };
  expect(readOne(serialize(usual), fields)).toEqual(usual);
  expect(Object.keys(readOne(serialize(usual), fields))).toEqual(['name', 'fw_id', 'launches', 'at']);
  const empty = { launches: [], name: '', at: null };
  const nested = { launches: [[1], ['a', null, true]] };
  expect(readAll(serialize({ _id: null, all: [usual, {}, empty, nested] }), fields)).toEqual([
    usual,
    {},
    empty,
    nested,
  ]);
  expect(readAll(serialize({ _id: null, all: [] }), fields)).toEqual([]);
});

test('a document with other types, or other fields, is read as well', () => {
  const odd = { fw_id: Long.fromString('9007199254740993'), name: new Double(1), launches: [{ a: 1 }] };
  const other = { fw_id: 2, stranger: new ObjectId() };
  const [first, second, third] = readAll(
    serialize({ _id: null, all: [odd, other, { fw_id: 3, at: 'x' }] }),
    fields,
  );
  expect(first).toEqual({ ...odd, launches: [{ a: new Int32(1) }] });
  expect(second).toEqual({ fw_id: new Int32(2), stranger: other.stranger });
  expect(third).toEqual({ fw_id: 3, at: 'x' });
});

test('ids that lie close together are a range', () => {
  expect(among([5, 3, 4])).toEqual({ $gte: 3, $lte: 5 });
  expect(among([9])).toEqual({ $gte: 9, $lte: 9 });
  expect(among([1, 2, 3, 5])).toEqual({ $gte: 1, $lte: 5 });
  expect(among([1, 100])).toEqual({ $in: [1, 100] });
});

test('what is too large for one answer is asked for in parts', async () => {
  await using pad = await testPad();
  const { launches } = pad.launchpad;
  await launches.insertMany([1, 2, 3, 4, 5].map((launch_id) => ({ launch_id, launch_dir: `/${launch_id}` })));
  let asked = 0;
  // MongoDB's own answer to more than 16 MB, here to more than two documents.
  const small = {
    aggregate(stages: [Document, ...Document[]], options: Document) {
      asked++;
      const cursor = launches.aggregate(stages, options);
      const { $gte, $lte } = stages[0].$match.launch_id;
      const tooLarge = Object.assign(new Error('BSONObj size is invalid'), { code: 10334 });
      return $lte - $gte < 2 ? cursor : { toArray: () => Promise.reject(tooLarge) };
    },
  } as unknown as Collection<Document>;
  const folder = new Fields(['launch_id', 'launch_dir']);
  const found = await documentsAmong(small, 'launch_id', [1, 2, 3, 4, 5], folder);
  expect(found.map(({ launch_dir }) => launch_dir)).toEqual(['/1', '/2', '/3', '/4', '/5']);
  expect(asked).toBe(5);
});
