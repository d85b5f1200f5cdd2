import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Json, type TestCloud, testCloud } from './test_cloud.ts';
import { describedBy, deviations } from './test_description.ts';

const LOG = 'projects/sandbox/logs/fireworker';
const common = { logName: LOG, resource: { type: 'gce_instance', labels: { instance_id: '1' } } };

const write = (cloud: TestCloud, entries: Json[], more: Json = {}) =>
  cloud.json('POST', '/v2/entries:write', { ...common, entries, ...more });
const list = async (cloud: TestCloud, query: Json = {}) => {
  const answer = await cloud.json('POST', '/v2/entries:list', {
    resourceNames: ['projects/sandbox'],
    ...query,
  });
  const texts = ((answer.entries ?? []) as Json[]).map((entry) => entry.textPayload);
  return { texts: texts.join(' '), token: answer.nextPageToken, answer };
};
/** A time of this very hour: Logging takes none of another year. */
const hour = new Date().toISOString().slice(0, 13);
const at = (second: number, fraction = '') => `${hour}:00:0${second}${fraction}Z`;

test('answers are as the API description in @google-cloud/logging says', async () => {
  await using cloud = await testCloud();
  const description = await describedBy('logging-api');
  const walk = (answer: Json, type: string) =>
    deviations(answer, description.lookupType(`google.logging.v2.${type}`));
  const written = await write(
    cloud,
    [
      { textPayload: 'a', severity: 'INFO', labels: { b: 'c' }, timestamp: at(1) },
      { jsonPayload: { message: 'b', deep: { list: [1] } }, severity: 400, trace: 't', spanId: 's' },
      { severity: 'NONSENSE', sourceLocation: { file: 'a.ts', line: '7' } },
    ],
    { labels: { a: 'b' }, partialSuccess: true },
  );
  const { answer } = await list(cloud);
  const names = await cloud.json('GET', '/v2/projects/sandbox/logs');
  expect([
    ...walk(written, 'WriteLogEntriesResponse'),
    ...walk(answer, 'ListLogEntriesResponse'),
    ...walk((await list(cloud, { pageSize: 1 })).answer, 'ListLogEntriesResponse'),
    ...walk(names, 'ListLogsResponse'),
  ]).toEqual([]);
  expect(answer.entries).toMatchObject([
    {
      ...common,
      labels: { a: 'b', b: 'c' },
      severity: 'INFO',
      insertId: expect.any(String),
      timestamp: at(1),
    },
    { jsonPayload: { message: 'b', deep: { list: [1] } }, severity: 'WARNING' },
    { severity: 'DEFAULT' },
  ]);
  expect(names).toEqual({ logNames: [LOG] });
});

test('lists by time to the nanosecond, then by insertId; in pages; filtered', async () => {
  await using cloud = await testCloud();
  await write(cloud, [
    { textPayload: 'c', timestamp: at(1, '.5'), severity: 'ERROR' },
    { textPayload: 'a', timestamp: at(1) },
    { textPayload: 'e', timestamp: at(2), insertId: '2' },
    { textPayload: 'd', timestamp: at(2), insertId: '1' },
    { textPayload: 'b', timestamp: at(1, '.000000001'), severity: 'ERROR' },
  ]);
  expect((await list(cloud)).texts).toBe('a b c d e');
  expect((await list(cloud, { orderBy: 'timestamp desc' })).texts).toBe('e d c b a');
  expect((await list(cloud, { filter: 'severity>=ERROR' })).texts).toBe('b c');
  expect((await list(cloud, { resourceNames: ['projects/sand'] })).texts).toBe('');
  for (const [orderBy, all] of [
    ['timestamp asc', 'a b c d e'],
    ['timestamp desc', 'e d c b a'],
  ] as const) {
    const pages: string[] = [];
    for (let pageToken: unknown = ''; pageToken !== undefined; ) {
      const page = await list(cloud, { orderBy, pageSize: 2, pageToken });
      pages.push(page.texts);
      pageToken = page.token;
      // What comes meanwhile shifts nothing.
      if (pages.length === 1 && orderBy === 'timestamp asc')
        await write(cloud, [{ textPayload: 'late', timestamp: at(0) }], {
          logName: 'projects/sandbox/logs/x',
        });
    }
    expect(pages.join(' ')).toStartWith(all);
  }
});

test('an entry that is written twice is there once, also in the file to tail', async () => {
  await using cloud = await testCloud();
  const entry = { textPayload: 'once', timestamp: at(1), insertId: 'x' };
  await write(cloud, [entry]);
  await write(cloud, [entry, { ...entry, textPayload: 'other', insertId: 'y' }]);
  expect((await list(cloud)).texts).toBe('once other');
  const tail = async (name: string) => {
    const lines = (await readFile(join(cloud.dir, 'logs', `${name}.jsonl`), 'utf8')).trimEnd().split('\n');
    return lines.map((line) => (JSON.parse(line) as Json).textPayload);
  };
  expect(await tail('fireworker')).toEqual(['once', 'other']);
  await write(cloud, [{ textPayload: 'a' }], { logName: 'projects/sandbox/logs/..%2Fa%2Fb' });
  expect(await tail('.._a_b')).toEqual(['a']);
  await write(cloud, [{ textPayload: 'never' }], { dryRun: true });
  expect((await cloud.call('DELETE', '/v2/projects/sandbox/logs/..%2Fa%2Fb')).status).toBe(200);
  expect((await list(cloud)).texts).toBe('once other');
});

test('with partialSuccess the good entries of a request are written, and the refusal is told', async () => {
  await using cloud = await testCloud();
  const entries = [
    { textPayload: 'a' },
    { textPayload: 'b', timestamp: '1999-01-01T00:00:00Z' },
    { textPayload: 'c' },
  ];
  expect(await write(cloud, entries, { partialSuccess: true })).toMatchObject({ error: { code: 400 } });
  expect((await list(cloud)).texts).toBe('a c');
});

test('refusals are google.rpc.Status, and refuse all entries', async () => {
  await using cloud = await testCloud();
  const good = { textPayload: 'good' };
  const cases: [string, Json][] = [
    ['write', { ...common, entries: [] }],
    ['write', { ...common, entries: [good, { ...good, timestamp: 'yesterday' }] }],
    ['write', { ...common, logName: 'fireworker', entries: [good] }],
    ['write', { logName: LOG, entries: [good] }],
    ['list', {}],
    ['list', { resourceNames: ['projects/sandbox'], filter: 'severity>=' }],
    ['list', { resourceNames: ['projects/sandbox'], orderBy: 'severity' }],
    ['list', { resourceNames: ['projects/sandbox'], pageSize: -1 }],
  ];
  for (const [verb, body] of cases) {
    const response = await cloud.call('POST', `/v2/entries:${verb}`, body);
    expect([verb, body, response.status, await response.json()]).toEqual([
      verb,
      body,
      400,
      { error: { code: 400, message: expect.any(String) as string, status: 'INVALID_ARGUMENT' } },
    ]);
  }
  expect((await list(cloud)).texts).toBe('');
});
