import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchPadMetadata, requireDatabase } from './metadata.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'metadata-'));
});
afterAll(() => rm(dir, { recursive: true }));

async function metadata(yaml: string): Promise<Record<string, string>> {
  const file = join(dir, 'pad.yaml');
  await writeFile(file, yaml);
  return launchPadMetadata(file, {});
}

test.each([
  ['host: h\nport: 1\nname: x\nusername: null\npassword: null\n', { db: 'x' }],
  [
    'host: h\nname: x\nusername: u\npassword: p w\nauthsource: admin\n',
    { db: 'x', username: 'u', password: 'p w', authsource: 'admin' },
  ],
  // A connection string is the same address from everywhere; a plain host may be a tunnel's end on this machine.
  [
    'host: mongodb://h:1/x\nuri_mode: true\nname: x\n',
    { db: 'x', host: 'mongodb://h:1/x', uri_mode: 'true' },
  ],
])('%j', async (yaml, expected) => {
  expect(await metadata(yaml)).toEqual(expected as Record<string, string>);
});

test("no file with '', an error that names the file when it is not there", () => {
  expect(launchPadMetadata('', {})).toEqual({});
  expect(() => launchPadMetadata(join(dir, 'none.yaml'), {})).toThrow('none.yaml');
});

test('workers need a database', () => {
  expect(() => requireDatabase({ db: 'x' })).not.toThrow();
  for (const lacking of [{}, { db: '' }] as Record<string, string>[])
    expect(() => requireDatabase(lacking)).toThrow(expect.objectContaining({ exitCode: 2 }));
});
