/** AddFilesTask, GetFilesTask, GetFilesByQueryTask and DeleteFilesTask, on a database of their own. */
import { describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Doc } from '../../core/launchpad/index.ts';
import { type TestWorker, testWorker } from '../test_worker.ts';
import { arrowsToDots } from './get_files_by_query.ts';

type Files = Record<string, string | Uint8Array>;

/** Flies these tasks in a folder with these files, looks, and returns the last line of the failure, or null. */
async function fly(
  tasks: Doc[],
  files: Files,
  look: (worker: TestWorker, read: (name: string) => Promise<Buffer>) => unknown = () => {},
): Promise<string | null> {
  await using worker = await testWorker({ oneFolder: true });
  await mkdir(join(worker.folder, 'd'));
  for (const [name, contents] of Object.entries(files)) await writeFile(join(worker.folder, name), contents);
  await worker.add(tasks);
  const landing = await worker.fly();
  await look(worker, (name) => readFile(join(worker.folder, name)));
  if (landing === 'completed') return null;
  const { _stacktrace } = (await worker.storedData(1))._exception as { _stacktrace: string };
  return (_stacktrace.trim().split('\n').at(-1) ?? '').replaceAll(worker.folder, 'DIR');
}

const add = (paths: string | string[], more: Doc = {}) => ({ _fw_name: 'AddFilesTask', paths, ...more });
const get = (identifiers: string[], more: Doc = {}) => ({ _fw_name: 'GetFilesTask', identifiers, ...more });
const query = (what: Doc, more: Doc = {}) => ({ _fw_name: 'GetFilesByQueryTask', query: what, ...more });
const remove = (identifiers: string[]) => ({ _fw_name: 'DeleteFilesTask', identifiers });

describe('what is added comes back', () => {
  const contents: [string, Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['a text', Buffer.from('Grüße\r\n')],
    ['more than one piece', randomBytes(600_000)],
    ['exactly two pieces', randomBytes(2 * 255 * 1024)],
  ];
  for (const compress of [true, false])
    test.each(contents)(`%s${compress ? ', compressed' : ''}`, async (_, bytes) => {
      const tasks = [add(['a'], { identifiers: ['x'], compress }), get(['x'], { dest_dir: 'd' })];
      const failure = await fly(tasks, { a: bytes }, async (worker, read) => {
        expect((await read('d/a')).equals(bytes)).toBe(true);
        const described = await worker.launchpad.db.collection('filepad').findOne({});
        expect(described).toMatchObject({
          identifier: 'x',
          original_file_name: 'a',
          original_file_path: join(worker.folder, 'a'),
          metadata: null,
          compressed: compress,
        });
      });
      expect(failure).toBe(null);
    });
});

test('a pattern, in a folder; identifiers are the paths; other names', async () => {
  const failure = await fly(
    [add('*.txt', { directory: 'd' })],
    { 'd/a.txt': '1', 'd/b.txt': '2', 'c.txt': '3' },
    async ({ launchpad, folder }) => {
      const all = await launchpad.db.collection('filepad').find({}).toArray();
      expect(all.map(({ identifier }) => identifier).sort()).toEqual([
        join(folder, 'd/a.txt'),
        join(folder, 'd/b.txt'),
      ]);
    },
  );
  expect(failure).toBe(null);
  const tasks = [add(['a'], { identifiers: ['x'] }), get(['x'], { new_file_names: ['b'] })];
  expect(await fly(tasks, { a: '1' }, async (_, read) => expect(String(await read('b'))).toBe('1'))).toBe(
    null,
  );
});

test('an identifier that is taken keeps its file', async () => {
  const taken = { identifiers: ['x'] };
  const tasks = [add(['a'], taken), add(['b'], taken), get(['x'], { new_file_names: ['c'] })];
  const failure = await fly(tasks, { a: '1', b: '2' }, async (worker, read) => {
    expect(String(await read('c'))).toBe('1');
    expect(worker.said.some(({ message }) => message.includes("'x' exists"))).toBe(true);
  });
  expect(failure).toBe(null);
});

test('what is deleted leaves nothing; what is not there is no error', async () => {
  const failure = await fly(
    [add(['a'], { identifiers: ['x'] }), remove(['x', 'none'])],
    { a: '1' },
    async (worker) => {
      for (const name of ['filepad', 'filepad_gfs.files', 'filepad_gfs.chunks'])
        expect(await worker.launchpad.db.collection(name).countDocuments()).toBe(0);
    },
  );
  expect(failure).toBe(null);
});

describe('by query', () => {
  const two = [
    add(['a'], { identifiers: ['x'], metadata: { step: { n: 1 }, tags: ['p', 'q'] } }),
    add(['b'], { identifiers: ['y'], metadata: { step: { n: 2 }, tags: [] } }),
  ];
  const files = { a: '1', b: '2' };

  test('nested keys, sorted and limited, with metadata beside', async () => {
    const one = query(
      { 'metadata->step->n': { $gt: 0 } },
      { sort_key: 'metadata.step.n', sort_direction: 1, limit: 1, dest_dir: 'd', meta_file: true },
    );
    const failure = await fly([...two, one], files, async (_, read) => {
      expect(String(await read('d/a'))).toBe('1');
      expect(String(await read('d/a.meta.yaml'))).toBe('step:\n  n: 1\ntags:\n- p\n- q\n');
      expect(await read('d/b').catch(() => null)).toBe(null);
    });
    expect(failure).toBe(null);
  });

  const failures: [string, Doc, RegExp | null][] = [
    [
      'nothing found',
      query({ identifier: 'z' }),
      /^ValueError: Query yielded empty result! \(query: \{"identifier": "z"\}\)/,
    ],
    ['nothing found, and welcome', query({ identifier: 'z' }, { fizzle_empty_result: false }), null],
    [
      'one name twice',
      query({}, { new_file_names: ['n', 'n'] }),
      /^ValueError: The local file name n is used a second time by result 1\/2/,
    ],
    [
      'one name twice, and welcome',
      query({}, { new_file_names: ['n', 'n'], fizzle_degenerate_file_name: false }),
      null,
    ],
    ['too few names', query({}, { new_file_names: ['n'] }), /^IndexError/],
  ];
  test.each(failures)('%s', async (_, task, message) => {
    const failure = await fly([...two, task], files);
    if (message) expect(failure).toMatch(message);
    else expect(failure).toBe(null);
  });

  test('arrows within lists are left', () =>
    expect(arrowsToDots({ 'a->b': { 'c->d': [{ 'e->f': 1 }] } })).toEqual({
      'a.b': { 'c.d': [{ 'e->f': 1 }] },
    }));
});

const failures: [string, Doc, RegExp][] = [
  ['no such file', add(['none']), /^FileNotFoundError: ENOENT.*DIR\/none/],
  [
    'too few identifiers',
    add(['a', 'a'], { identifiers: ['x'] }),
    /^AssertionError: 2 files and 1 identifiers/,
  ],
  ['no such identifier', get(['none']), /^TypeError: The FilePad has no file 'none'/],
  [
    'no such FilePad file',
    { ...get(['x']), filepad_file: 'my_filepad.yaml' },
    /There is no FilePad file DIR\/my_filepad.yaml/,
  ],
];
test.each(failures)('%s', async (_, task, message) => expect(await fly([task], { a: '1' })).toMatch(message));

test('another FilePad by its file: other collections, and texts', async () => {
  await using worker = await testWorker({ oneFolder: true });
  const { host, port, name, uriMode } = worker.launchpad.settings;
  const settings = {
    host,
    port,
    name,
    uri_mode: uriMode,
    filepad: 'texts',
    filepad_gridfs: 'texts_gfs',
    text_mode: true,
    mongoclient_kwargs: null,
  };
  await writeFile(join(worker.folder, 'my_filepad.yaml'), JSON.stringify(settings));
  await writeFile(join(worker.folder, 'a'), 'x\r\ny\rz\n');
  const filepad_file = 'my_filepad.yaml';
  await worker.add([
    add(['a'], { identifiers: ['x'], filepad_file }),
    get(['x'], { new_file_names: ['b'], filepad_file }),
  ]);
  expect(await worker.fly()).toBe('completed');
  expect(await worker.file('b')).toBe('x\ny\nz\n');
  expect(await worker.launchpad.db.collection('texts').countDocuments()).toBe(1);
});
