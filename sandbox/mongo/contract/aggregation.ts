import { expect } from 'bun:test';
import { type Document, Double, Int32, Long } from 'mongodb';
import { type Cases, given, refusal } from './subject.ts';

export const aggregation: Cases = {
  'groups by several fields: missing is not null, equal numbers are one, texts do not run together': async ({
    c,
  }) => {
    await given(
      c,
      { a: 'x', b: 'yz' },
      { a: 'xy', b: 'z' },
      { a: 'xy', b: 'z' },
      { a: new Int32(1), b: null },
      { a: new Double(1), b: null },
      { a: 1 },
      { b: 1 },
      { a: [1, 2], b: { c: 1 } },
      { a: [1, 2], b: { c: 1 } },
    );
    const found = await c
      .aggregate([
        { $group: { _id: { a: '$a', b: '$b' }, n: { $sum: 1 }, first: { $min: '$_id' } } },
        { $sort: { first: 1 } },
      ])
      .toArray();
    expect(found.map(({ _id, n }) => [_id, n])).toEqual([
      [{ a: 'x', b: 'yz' }, 1],
      [{ a: 'xy', b: 'z' }, 2],
      [{ a: 1, b: null }, 2],
      [{ a: 1 }, 1],
      [{ b: 1 }, 1],
      [{ a: [1, 2], b: { c: 1 } }, 2],
    ]);
  },
  'the stages': async ({ c, db }) => {
    await given(c, { k: 'a', n: 1, l: [1, 2] }, { k: 'b', n: 2, l: [] }, { k: 'a', n: 3 });
    const run = (...stages: Document[]) => c.aggregate(stages).toArray();
    expect(await run({ $match: { k: 'a' } }, { $project: { n: 1, _id: 0 } })).toEqual([{ n: 1 }, { n: 3 }]);
    expect(
      await run({ $sort: { n: -1 } }, { $skip: 1 }, { $limit: 1 }, { $project: { l: 0, _id: 0 } }),
    ).toEqual([{ k: 'b', n: 2 }]);
    expect(await run({ $limit: 2 }, { $sort: { n: -1 } }, { $project: { n: 1, _id: 0 } })).toEqual([
      { n: 2 },
      { n: 1 },
    ]);
    expect(
      await run(
        {
          $group: {
            _id: '$k',
            sum: { $sum: '$n' },
            avg: { $avg: '$n' },
            all: { $push: '$n' },
            first: { $first: '$n' },
            last: { $last: '$n' },
            least: { $min: '$n' },
            most: { $max: '$n' },
            n: { $count: {} },
          },
        },
        { $sort: { _id: 1 } },
      ),
    ).toEqual([
      { _id: 'a', sum: 4, avg: 2, all: [1, 3], first: 1, last: 3, least: 1, most: 3, n: 2 },
      { _id: 'b', sum: 2, avg: 2, all: [2], first: 2, last: 2, least: 2, most: 2, n: 1 },
    ]);
    expect(
      await run({ $group: { _id: null, set: { $addToSet: '$k' } } }, { $project: { n: { $size: '$set' } } }),
    ).toEqual([{ _id: null, n: 2 }]);
    expect(await run({ $unwind: '$l' }, { $project: { l: 1, _id: 0 } })).toEqual([{ l: 1 }, { l: 2 }]);
    expect(
      await run(
        { $unwind: { path: '$l', preserveNullAndEmptyArrays: true, includeArrayIndex: 'i' } },
        { $project: { l: 1, i: 1 } },
      ),
    ).toEqual([
      { _id: 1, l: 1, i: 0 },
      { _id: 1, l: 2, i: 1 },
      { _id: 2, i: null },
      { _id: 3, i: null },
    ]);
    expect(await run({ $match: { n: { $gt: 1 } } }, { $count: 'n' })).toEqual([{ n: 2 }]);
    expect(await run({ $match: { n: 99 } }, { $count: 'n' })).toEqual([]);
    expect(await run({ $sortByCount: '$k' })).toEqual([
      { _id: 'a', count: 2 },
      { _id: 'b', count: 1 },
    ]);
    expect(
      await run(
        { $set: { m: { $multiply: ['$n', 2] }, 'o.p': '$k' } },
        { $unset: ['l', '_id', 'k'] },
        { $limit: 1 },
      ),
    ).toEqual([{ n: 1, m: 2, o: { p: 'a' } }]);
    expect(await run({ $match: { _id: 1 } }, { $replaceRoot: { newRoot: { x: '$n' } } })).toEqual([{ x: 1 }]);
    expect(
      await run({ $facet: { n: [{ $count: 'n' }], ks: [{ $group: { _id: '$k' } }, { $sort: { _id: 1 } }] } }),
    ).toEqual([{ n: [{ n: 3 }], ks: [{ _id: 'a' }, { _id: 'b' }] }]);
    expect(await run({ $sample: { size: 2 } })).toHaveLength(2);
    const other = db.collection<Document>('other');
    await given(other, { of: 'a', v: 1 }, { of: 'a', v: 2 }, { v: 3 });
    expect(
      await run(
        { $lookup: { from: 'other', localField: 'k', foreignField: 'of', as: 'found' } },
        { $project: { found: '$found.v', _id: 0 } },
      ),
    ).toEqual([{ found: [1, 2] }, { found: [] }, { found: [1, 2] }]);
    expect(
      await run(
        { $lookup: { from: 'other', localField: 'none', foreignField: 'of', as: 'found' } },
        { $limit: 1 },
        { $project: { found: '$found.v', _id: 0 } },
      ),
    ).toEqual([{ found: [3] }]);
    expect(
      await run(
        { $project: { _id: 0, v: '$n' } },
        { $unionWith: { coll: 'other', pipeline: [{ $project: { _id: 0, v: 1 } }] } },
        { $group: { _id: null, v: { $sum: '$v' } } },
      ),
    ).toEqual([{ _id: null, v: 12 }]);
  },
  'the pipelines of Python FireWorks and of lpad': async ({ db }) => {
    const [fireworks, workflows, launches] = ['fireworks', 'workflows', 'launches'].map((name) =>
      db.collection<Document>(name),
    ) as [never, never, never] as unknown as ReturnType<typeof db.collection<Document>>[];
    if (!fireworks || !workflows || !launches) throw new Error('three collections');
    const day = '2026-01-02T03:04:05.678901+00:00';
    await given(
      fireworks,
      { fw_id: 1, state: 'RUNNING', updated_on: day },
      { fw_id: 2, state: 'COMPLETED', updated_on: new Date('2026-01-01T00:00:00Z') },
      { fw_id: 3, state: 'RUNNING', updated_on: '2026-01-03T00:00:00.000000' },
    );
    await given(
      workflows,
      {
        nodes: [1, 2],
        name: 'w',
        links: { 2: [1], 1: [] },
        fw_states: { 1: 'RUNNING', 2: 'COMPLETED' },
        updated_on: new Date('2026-02-03T00:00:00Z'),
        state: 'RUNNING',
      },
      { nodes: [3], name: 'v' },
    );
    await given(
      launches,
      { launch_id: 1, fw_id: 1, state: 'COMPLETED' },
      { launch_id: 2, fw_id: 2, state: 'COMPLETED' },
      { launch_id: 3, fw_id: 3, state: 'FIZZLED' },
    );
    // LaunchPad.get_fw_ids with a sort by date
    expect(
      await fireworks
        .aggregate([
          { $match: { state: { $in: ['RUNNING', 'COMPLETED'] } } },
          {
            $set: { updated_on: { $dateFromString: { dateString: '$updated_on', onError: '$updated_on' } } },
          },
          { $sort: { updated_on: -1 } },
          { $project: { fw_id: true, _id: false } },
          { $limit: 2 },
        ])
        .toArray(),
    ).toEqual([{ fw_id: 3 }, { fw_id: 1 }]);
    // LaunchPad.get_fw_ids_in_wfs
    expect(
      await workflows
        .aggregate([
          { $match: { name: 'w' } },
          { $project: { nodes: true, _id: false } },
          { $unwind: '$nodes' },
          { $lookup: { from: 'fireworks', localField: 'nodes', foreignField: 'fw_id', as: 'fireworks' } },
          { $project: { fireworks: 1, _id: 0 } },
          { $unwind: '$fireworks' },
          { $replaceRoot: { newRoot: '$fireworks' } },
          { $match: { state: 'RUNNING' } },
          { $count: 'count' },
        ])
        .toArray(),
    ).toEqual([{ count: 1 }]);
    // LaunchPad.detect_lostruns
    expect(
      await launches
        .aggregate([
          { $match: { state: { $in: ['FIZZLED', 'COMPLETED'] } } },
          { $group: { _id: '$fw_id' } },
          { $lookup: { from: 'fireworks', localField: '_id', foreignField: 'fw_id', as: 'fw' } },
          { $unwind: '$fw' },
          { $match: { 'fw.state': 'RUNNING' } },
          { $project: { fw_id: '$_id' } },
          { $sort: { fw_id: 1 } },
        ])
        .toArray(),
    ).toEqual([
      { _id: 1, fw_id: 1 },
      { _id: 3, fw_id: 3 },
    ]);
    // FWReport.get_stats
    expect(
      await workflows
        .aggregate([
          { $match: { updated_on: { $gte: new Date(0) } } },
          { $project: { state: 1, _id: 0, date_key: { $substr: ['$updated_on', 0, 7] } } },
          {
            $group: {
              _id: { 'state:': '$state', date_key: '$date_key' },
              count: { $sum: 1 },
              state: { $first: '$state' },
            },
          },
          {
            $group: {
              _id: { _id_date_key: '$_id.date_key' },
              date_key: { $first: '$_id.date_key' },
              states: { $push: { count: '$count', state: '$state' } },
            },
          },
          { $sort: { date_key: -1 } },
        ])
        .toArray(),
    ).toEqual([
      { _id: { _id_date_key: '2026-02' }, date_key: '2026-02', states: [{ count: 1, state: 'RUNNING' }] },
    ]);
    // What a rocket asks about its workflow.
    const where = (cond: Document) => ({
      $filter: { input: { $objectToArray: '$fw_states' }, as: 's', cond },
    });
    expect(
      await workflows
        .aggregate([
          { $match: { nodes: 1 } },
          {
            $project: {
              open: {
                $map: {
                  input: where({ $and: [{ $ne: ['$$s.v', 'COMPLETED'] }, { $ne: ['$$s.k', '9'] }] }),
                  as: 's',
                  in: '$$s.k',
                },
              },
              parents: { $map: { input: { $ifNull: ['$links.2', []] }, as: 'p', in: { $toString: '$$p' } } },
            },
          },
          {
            $project: {
              n: { $size: { $setIntersection: ['$parents', '$open'] } },
              gone: { $setDifference: ['$open', ['2']] },
              all: { $setUnion: ['$open', ['0']] },
            },
          },
        ])
        .toArray(),
    ).toEqual([{ _id: 1, n: 1, gone: ['1'], all: ['0', '1'] }]);
    expect(
      await fireworks
        .aggregate([
          {
            $project: {
              key: {
                $cond: [
                  { $eq: [{ $type: '$updated_on' }, 'date'] },
                  { $dateToString: { date: '$updated_on', format: '%Y-%m-%dT%H' } },
                  { $substr: ['$updated_on', 0, 13] },
                ],
              },
              as: { $convert: { input: '$updated_on', to: 'date', onError: '$updated_on' } },
              _id: 0,
            },
          },
        ])
        .toArray(),
    ).toEqual([
      { key: '2026-01-02T03', as: new Date('2026-01-02T03:04:05.678Z') },
      { key: '2026-01-01T00', as: new Date('2026-01-01T00:00:00Z') },
      { key: '2026-01-03T00', as: new Date('2026-01-03T00:00:00Z') },
    ]);
  },
  expressions: async ({ c }) => {
    await c.insertOne({
      _id: 1,
      i: 7,
      s: 'Grüße',
      d: new Date('2026-03-04T05:06:07.089Z'),
      l: [3, 1, 2],
      o: { a: 1, b: 2 },
      z: null,
    } as never);
    const table: [expression: unknown, expected: unknown][] = [
      [{ $add: ['$i', 1] }, 8],
      [{ $add: ['$d', 1000] }, new Date('2026-03-04T05:06:08.089Z')],
      [{ $subtract: ['$d', new Date('2026-03-04T05:06:07Z')] }, 89],
      [{ $divide: ['$i', 2] }, 3.5],
      [{ $mod: ['$i', 4] }, 3],
      [{ $add: ['$i', '$z'] }, null],
      [{ $abs: -3 }, 3],
      [{ $floor: 2.7 }, 2],
      [{ $round: [2.567, 2] }, 2.57],
      [{ $round: 2.5 }, 2],
      [{ $trunc: -2.7 }, -2],
      [{ $pow: [2, 10] }, 1024],
      [{ $cond: [{ $gte: ['$i', 7] }, 'yes', 'no'] }, 'yes'],
      [{ $ifNull: ['$z', '$missing', 'none'] }, 'none'],
      [
        {
          $cond: new Map<string, unknown>([
            ['if', 0],
            ['then', 1],
            ['else', 2],
          ]),
        },
        2,
      ],
      [
        {
          $switch: {
            branches: [
              new Map<string, unknown>([
                ['case', { $eq: ['$i', 7] }],
                ['then', 1],
              ]),
            ],
            default: 2,
          },
        },
        1,
      ],
      [{ $concat: ['$s', '!'] }, 'Grüße!'],
      [{ $toUpper: 'abc' }, 'ABC'],
      [{ $substrCP: ['$s', 2, 2] }, 'üß'],
      [{ $strLenBytes: '$s' }, 7],
      [{ $strLenCP: '$s' }, 5],
      [{ $split: ['a,b', ','] }, ['a', 'b']],
      [{ $trim: { input: '  x ' } }, 'x'],
      [{ $regexMatch: { input: '$s', regex: /^gr/i } }, true],
      [{ $toInt: '12' }, 12],
      [{ $toString: 12 }, '12'],
      [{ $toString: '$d' }, '2026-03-04T05:06:07.089Z'],
      [{ $dateToString: { date: '$d', format: '%Y/%m/%d %H:%M:%S.%L' } }, '2026/03/04 05:06:07.089'],
      [{ $year: '$d' }, 2026],
      [{ $dayOfWeek: '$d' }, 4],
      [{ $type: '$missing' }, 'missing'],
      [{ $type: '$l' }, 'array'],
      [{ $size: '$l' }, 3],
      [{ $arrayElemAt: ['$l', -1] }, 2],
      [{ $slice: ['$l', 1, 1] }, [1]],
      [{ $in: [2, '$l'] }, true],
      [{ $indexOfArray: ['$l', 2] }, 2],
      [{ $concatArrays: ['$l', [9]] }, [3, 1, 2, 9]],
      [{ $reverseArray: '$l' }, [2, 1, 3]],
      [{ $range: [0, 6, 2] }, [0, 2, 4]],
      [{ $filter: { input: '$l', cond: { $gt: ['$$this', 1] } } }, [3, 2]],
      [{ $reduce: { input: '$l', initialValue: 0, in: { $add: ['$$value', '$$this'] } } }, 6],
      [{ $sum: '$l' }, 6],
      [{ $avg: '$l' }, 2],
      [{ $max: ['$i', 3] }, 7],
      [
        { $objectToArray: '$o' },
        [
          { k: 'a', v: 1 },
          { k: 'b', v: 2 },
        ],
      ],
      [{ $arrayToObject: [[['a', 1]]] }, { a: 1 }],
      [{ $mergeObjects: ['$o', { b: 3 }] }, { a: 1, b: 3 }],
      [{ $let: { vars: { x: '$i' }, in: { $multiply: ['$$x', 2] } } }, 14],
      [{ $literal: '$i' }, '$i'],
      [{ $setIsSubset: [[1], '$l'] }, true],
      [{ $anyElementTrue: [[0, 1]] }, true],
      ['$o.b', 2],
      [{ $and: ['$i', { $not: ['$z'] }] }, true],
      [{ $and: [] }, true],
      [{ $or: [] }, false],
      // What comes after the one that decides is not looked at: it would fail.
      [{ $and: ['$z', { $toInt: '$s' }] }, false],
      [{ $or: ['$i', { $toInt: '$s' }] }, true],
      [{ $cmp: ['$i', 9] }, -1],
    ];
    for (const [expression, expected] of table) {
      const [found] = await c.aggregate([{ $project: { _id: 0, v: expression } }]).toArray();
      expect([expression, found?.v]).toEqual([expression, expected]);
    }
  },
  'numbers keep their types': async ({ c }) => {
    await given(
      c,
      { i: new Int32(1), d: new Double(2), l: Long.fromNumber(3) },
      { i: new Int32(2), d: new Double(1), l: Long.fromNumber(4) },
    );
    const [found] = await c
      .aggregate(
        [
          {
            $group: {
              _id: null,
              i: { $sum: '$i' },
              d: { $sum: '$d' },
              l: { $sum: '$l' },
              a: { $avg: '$i' },
              n: { $sum: 1 },
              m: { $max: '$d' },
            },
          },
          { $unset: '_id' },
        ],
        { promoteValues: false },
      )
      .toArray();
    expect(found).toEqual({
      i: new Int32(3),
      d: new Double(3),
      l: Long.fromNumber(7),
      a: new Double(1.5),
      n: new Int32(2),
      m: new Double(2),
    });
  },
  'what is not known is refused': async ({ c, db }) => {
    await given(c, { a: 1 });
    const refused = async (...pipeline: Document[]) => {
      const { code, message } = await refusal(c.aggregate(pipeline).toArray());
      return [code, message];
    };
    expect(await refused({ $nope: {} })).toEqual([40324, "Unrecognized pipeline stage name: '$nope'"]);
    expect(await refused({ $project: { a: { $nope: 1 } } })).toEqual([
      168,
      expect.stringContaining("Unrecognized expression '$nope'"),
    ]);
    expect(await refused({ $group: { _id: null, a: { $nope: 1 } } })).toEqual([
      15952,
      "unknown group operator '$nope'",
    ]);
    expect(await refused({ $match: { a: { $nope: 1 } } })).toEqual([2, 'unknown operator: $nope']);
    expect((await refused({ $limit: 0 }))[0]).toBe(15958);
    expect((await refused({ $unwind: 'a' }))[0]).toBe(28818);
    expect((await refused({ $match: {}, $limit: 1 }))[0]).toBe(40323);
    expect((await refused({ $project: {} }))[0]).toBe(51272);
    expect((await refused({ $project: { a: { $divide: ['$a', 0] } } }))[0]).toBe(2);
    expect((await refusal(db.command({ aggregate: 'c', pipeline: [] }))).code).toBe(9);
  },
};
