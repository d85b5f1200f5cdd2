import { describe, expect, test } from 'bun:test';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { FWorker } from '../core/launchpad/index.ts';
import { findFWorkerFile, readFWorker } from './pad.ts';

async function read(text: string | null, given: Partial<FWorker> = {}): Promise<FWorker> {
  const folder = await mkdtemp(join(tmpdir(), 'fworker-'));
  try {
    const path = join(folder, 'my_fworker.yaml');
    if (text === null) return readFWorker(given, 'vm-0', null);
    await writeFile(path, text);
    return readFWorker(given, 'vm-0', path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('a worker’s identity', () => {
  const plain = { name: 'vm-0', category: '', query: {}, env: {} };
  const cases: [string, string | null, Partial<FWorker> | undefined, object][] = [
    ['no file', null, undefined, plain],
    ['an empty file', '', undefined, plain],
    ['the name of the file', 'name: big\n', undefined, { ...plain, name: 'big' }],
    ['a name that was given comes first', 'name: big\n', { name: 'mine' }, { ...plain, name: 'mine' }],
    [
      'and so does all that was given',
      'category: gpu\nenv: {a: 1}\n',
      { category: 'cpu', query: { x: 1 }, env: {} },
      { ...plain, category: 'cpu', query: { x: 1 } },
    ],
    ['one category', 'category: gpu\n', undefined, { ...plain, category: 'gpu' }],
    ['several', 'category: [gpu, cpu]\n', undefined, { ...plain, category: ['gpu', 'cpu'] }],
    [
      'a query as Python writes it',
      `query: '{"spec.n": {"$gt": 1}}'\n`,
      undefined,
      { ...plain, query: { 'spec.n': { $gt: 1 } } },
    ],
    ['a query in YAML', 'query: {spec.kind: big}\n', undefined, { ...plain, query: { 'spec.kind': 'big' } }],
    [
      'env, and null for nothing',
      'env: {tool: /opt/tool}\nquery: null\n',
      undefined,
      { ...plain, env: { tool: '/opt/tool' } },
    ],
  ];
  test.each(cases)('%s', async (_, text, given, fworker) =>
    expect(await read(text, given)).toEqual(fworker as FWorker),
  );

  const wrong: [string, RegExp][] = [
    ['nam: x\n', /my_fworker\.yaml: unknown key 'nam'\. Known keys: name, category, query, env$/],
    ['name: 5\n', /my_fworker\.yaml: name=5 has the wrong type$/],
    ["query: '{'\n", /my_fworker\.yaml: query="\{": must be a MongoDB query, as \{"spec\.kind": "big"\}$/],
    ['query: 5\n', /query=5: must be a MongoDB query/],
    ['- name\n', /a worker's file is a list of 'key: value' lines$/],
    ['env:\n\ttool: x\n', /line 2: YAML is indented with spaces/],
  ];
  test.each(wrong)('wrong: %j', async (text, message) => {
    const failure = await read(text).catch((thrown: Error) => thrown);
    expect((failure as Error).name).toBe('UsageError');
    expect((failure as Error).message).toMatch(message);
  });
});

test('where FireWorks looks for the file of a worker: here, where its settings say, at home', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fworker-'));
  try {
    const env = { HOME: join(folder, 'home') };
    const here = join(folder, 'here');
    const put = async (path: string, text: string) => {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
      return join(folder, path);
    };
    const found = () => findFWorkerFile(env, here);
    expect(found()).toBeNull();
    const atHome = await put('home/.fireworks/my_fworker.yaml', 'name: home');
    expect(found()).toBe(atHome);
    await put('here/FW_config.yaml', 'CONFIG_FILE_DIR: config');
    expect(found()).toBe(atHome);
    const configured = await put('here/config/my_fworker.yaml', 'name: config');
    expect(found()).toBe(configured);
    await put('here/FW_config.yaml', 'FWORKER_LOC: big.yaml');
    expect(found()).toBe(atHome);
    const named = await put('here/big.yaml', 'name: big');
    expect(found()).toBe(named);
    const nearest = await put('here/my_fworker.yaml', 'name: here');
    expect(found()).toBe(nearest);
  } finally {
    await rm(folder, { recursive: true });
  }
});
