/** The Firetasks for files: FileWriteTask, FileTransferTask, FileDeleteTask, ArchiveDirTask, CompressDirTask, DecompressDirTask. */
import { describe, expect, test } from 'bun:test';
import { chmod, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Doc } from '../../core/launchpad/index.ts';
import { type TestWorker, testWorker } from '../test_worker.ts';

/** Flies one task in a folder with these files; returns what is in the folder then, or the last line of the failure. */
async function fly(
  task: Doc,
  files: Record<string, string> = {},
  check: (worker: TestWorker) => unknown = () => {},
): Promise<Record<string, string> | string> {
  await using worker = await testWorker({ oneFolder: true });
  for (const [name, text] of Object.entries(files)) {
    const folder = name.slice(0, name.lastIndexOf('/') + 1);
    await mkdir(join(worker.folder, folder), { recursive: true });
    if (!name.endsWith('/')) await writeFile(join(worker.folder, name), text);
  }
  await worker.add([task]);
  const landing = await worker.fly();
  await check(worker);
  if (landing === 'completed') return await tree(worker.folder);
  const { _stacktrace } = (await worker.storedData(1))._exception as { _stacktrace: string };
  return (_stacktrace.trim().split('\n').at(-1) ?? '').replaceAll(worker.folder, 'DIR');
}

async function tree(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // The worker's own, compressed or not.
    if (entry.name.startsWith('FW.json')) continue;
    if (entry.isFile()) found[path.slice(folder.length + 1)] = await readFile(path, 'latin1');
  }
  return found;
}

describe('FileWriteTask', () => {
  const write = (filename: string, more: Doc = {}) => ({
    _fw_name: 'FileWriteTask',
    files_to_write: [{ filename, contents: 'new' }],
    ...more,
  });
  const cases: [string, Doc, Record<string, string>, Record<string, string> | RegExp][] = [
    ['a new file', write('f'), {}, { f: 'new' }],
    ['in place of an old one', write('f'), { f: 'old and longer' }, { f: 'new' }],
    ['in a folder that is there', write('f', { dest: 'd' }), { 'd/': '' }, { 'd/f': 'new' }],
    ['in a folder that is not', write('d/f'), {}, /ENOENT/],
    ['without contents', { _fw_name: 'FileWriteTask', files_to_write: [{ filename: 'f' }] }, {}, /contents/],
  ];
  test.each(cases)('%s', async (_, task, files, after) => {
    const found = await fly(task, files);
    if (after instanceof RegExp) expect(found).toMatch(after);
    else expect(found).toEqual(after);
  });
});

describe('FileDeleteTask', () => {
  const remove = (more: Doc = {}) => ({
    _fw_name: 'FileDeleteTask',
    files_to_delete: ['a', 'none', 'b'],
    ...more,
  });
  test('deletes what is there; what is not is no error, as in FireWorks', async () =>
    expect(await fly(remove(), { a: '', b: '', c: 'kept' })).toEqual({ c: 'kept' }));
  test('unless ignore_errors is false', async () =>
    expect(await fly(remove({ ignore_errors: false }), { a: '' })).toMatch(/^OSError: ENOENT.*DIR\/none/));
  test('in another folder', async () =>
    expect(await fly(remove({ dest: 'd' }), { 'd/a': '', a: 'kept' })).toEqual({ a: 'kept' }));
});

describe('FileTransferTask', () => {
  const transfer = (mode: string, src: string, dest: string, more: Doc = {}) => ({
    _fw_name: 'FileTransferTask',
    mode,
    files: [{ src, dest }],
    ...more,
  });
  const cases: [string, Doc, Record<string, string>, Record<string, string> | RegExp][] = [
    ['copy', transfer('copy', 'a', 'b'), { a: '1' }, { a: '1', b: '1' }],
    ['cp over a file', transfer('cp', 'a', 'b'), { a: '1', b: '2' }, { a: '1', b: '1' }],
    ['copy into a folder', transfer('copy', 'a', 'd'), { a: '1', 'd/': '' }, { a: '1', 'd/a': '1' }],
    [
      'copyfile names its target',
      transfer('copyfile', 'a', 'd'),
      { a: '1', 'd/': '' },
      /ValueError: .* copyfile from a to d/,
    ],
    ['mv', transfer('mv', 'a', 'b'), { a: '1' }, { b: '1' }],
    ['move over a file', transfer('move', 'a', 'b'), { a: '1', b: '2' }, { b: '1' }],
    ['move into a folder', transfer('move', 'a', 'd'), { a: '1', 'd/x': '' }, { 'd/a': '1', 'd/x': '' }],
    [
      'move into a folder that has one',
      transfer('move', 'a', 'd'),
      { a: '1', 'd/a': '2' },
      /DIR\/d\/a is there already$/,
    ],
    ['move a folder', transfer('move', 'd', 'e'), { 'd/a': '1' }, { 'e/a': '1' }],
    ['copytree', transfer('copytree', 'd', 'e'), { 'd/x/a': '1' }, { 'd/x/a': '1', 'e/x/a': '1' }],
    [
      'copytree to what is there',
      transfer('copytree', 'd', 'e'),
      { 'd/a': '1', 'e/b': '' },
      /DIR\/e is there already$/,
    ],
    [
      'copy a folder',
      transfer('copy', 'd', 'e'),
      { 'd/a': '1' },
      /ValueError: There was an error performing operation copy/,
    ],
    [
      'what is not there',
      transfer('cp', 'none', 'b'),
      {},
      /^ValueError: .*operation cp from none to b: ENOENT/,
    ],
    ['errors ignored', transfer('cp', 'none', 'b', { ignore_errors: true }), { a: '1' }, { a: '1' }],
    [
      'an unknown mode',
      transfer('scp', 'a', 'b'),
      { a: '' },
      /^ValueError: FileTransferTask mode 'scp' is not known/,
    ],
    [
      'names, with one dest for all',
      { _fw_name: 'FileTransferTask', mode: 'mv', files: ['a', 'b'], dest: 'd' },
      { a: '1', b: '2', 'd/': '' },
      { 'd/a': '1', 'd/b': '2' },
    ],
    [
      'no dest',
      { _fw_name: 'FileTransferTask', mode: 'mv', files: ['a'] },
      { a: '' },
      /where should a go\? Give 'dest'$/,
    ],
    ['a variable', transfer('cp', 'a', '$UNSET_NAME'), { a: '1' }, { a: '1', $UNSET_NAME: '1' }],
    [
      'a name to be taken as it is',
      transfer('cp', 'a', '$HOME', { shell_interpret: false }),
      { a: '1' },
      { a: '1', $HOME: '1' },
    ],
    ['tried again in vain', transfer('cp', 'none', 'b', { max_retry: 2, retry_delay: 0 }), {}, /^ValueError/],
  ];
  test.each(cases)('%s', async (_, task, files, after) => {
    const found = await fly(task, files);
    if (after instanceof RegExp) expect(found).toMatch(after);
    else expect(found).toEqual(after);
  });

  test('copy2 keeps times, copy the mode', async () => {
    await using worker = await testWorker({ oneFolder: true });
    const [a, b] = [join(worker.folder, 'a'), join(worker.folder, 'b')];
    await writeFile(a, '');
    await chmod(a, 0o750);
    await utimes(a, 1000, 2000);
    await worker.add([transfer('copy2', 'a', 'b')]);
    expect(await worker.fly()).toBe('completed');
    const { mtimeMs, mode } = await stat(b);
    expect([mtimeMs, mode & 0o777]).toEqual([2_000_000, 0o750]);
  });

  test('links are followed, as shutil does', async () => {
    await using worker = await testWorker({ oneFolder: true });
    await writeFile(join(worker.folder, 'a'), 'text');
    await symlink('a', join(worker.folder, 'link'));
    await worker.add([transfer('copy', 'link', 'b')]);
    await worker.fly();
    expect((await stat(join(worker.folder, 'b'))).isFile()).toBe(true);
  });
});

describe('ArchiveDirTask', () => {
  const formats: [string, string, string[]][] = [
    ['gztar', 'arc.tar.gz', ['tar', '-tzf']],
    ['tar', 'arc.tar', ['tar', '-tf']],
    ['bztar', 'arc.tar.bz2', ['tar', '-tjf']],
    ['xztar', 'arc.tar.xz', ['tar', '-tJf']],
    ['zip', 'arc.zip', ['python3', '-m', 'zipfile', '-l']],
  ];
  for (const [format, name, list] of formats) {
    const program = { bztar: 'bzip2', xztar: 'xz', zip: 'zip' }[format] ?? 'tar';
    const missing = [program, list[0] as string].find((one) => !Bun.which(one));
    test.skipIf(missing !== undefined)(
      `${format}${missing ? ` (there is no ${missing} here)` : ''}`,
      async () => {
        // Also a second time: the archive of before is no part of it.
        const task = { _fw_name: 'ArchiveDirTask', base_name: 'arc', format };
        const files = { a: '1', 'd/b': '2', [name]: 'of before' };
        await fly(task, files, async ({ folder }) => {
          const left = (await readdir(folder)).filter((one) => !one.startsWith('.'));
          expect(left.sort()).toEqual(['FW.json', 'a', name, 'd']);
          const listed = Bun.spawnSync([...list, join(folder, name)]).stdout.toString();
          expect(listed).toMatch(/\b(a|\.\/a)\b/);
          expect(listed).toMatch(/d\/b/);
          expect(listed).not.toContain('arc.');
        });
      },
    );
  }
  test('in another folder, which it makes', async () => {
    const task = { _fw_name: 'ArchiveDirTask', base_name: 'x/y/arc', format: 'tar' };
    expect(Object.keys((await fly(task, { a: '1' })) as object).sort()).toEqual(['a', 'x/y/arc.tar']);
  });
  test('an unknown format', async () =>
    expect(await fly({ _fw_name: 'ArchiveDirTask', base_name: 'arc', format: 'rar' })).toMatch(
      /^ValueError: ArchiveDirTask: parameter 'format': .*"gztar"/,
    ));
});

describe('CompressDirTask and DecompressDirTask', () => {
  for (const compression of ['gz', 'bz2']) {
    const missing = compression === 'bz2' && !Bun.which('bzip2');
    test.skipIf(missing)(
      `${compression}, there and back${missing ? ' (there is no bzip2 here)' : ''}`,
      async () => {
        await using worker = await testWorker({ oneFolder: true });
        await mkdir(join(worker.folder, 'd'));
        await writeFile(join(worker.folder, 'a.txt'), 'text');
        await utimes(join(worker.folder, 'a.txt'), 1000, 2000);
        await writeFile(join(worker.folder, 'd/b'), 'x'.repeat(100_000));
        await writeFile(join(worker.folder, `d/c.${compression}`), 'is taken for compressed');
        await worker.add([{ _fw_name: 'CompressDirTask', compression }]);
        expect(await worker.fly()).toBe('completed');
        const compressed = await tree(worker.folder);
        expect(Object.keys(compressed).sort()).toEqual([
          `a.txt.${compression}`,
          `d/b.${compression}`,
          `d/c.${compression}`,
        ]);
        expect(compressed[`d/b.${compression}`]?.length).toBeLessThan(1000);
        expect((await stat(join(worker.folder, `a.txt.${compression}`))).mtimeMs).toBe(2_000_000);
        await worker.add([
          { _fw_name: 'FileDeleteTask', files_to_delete: [`d/c.${compression}`] },
          { _fw_name: 'DecompressDirTask' },
        ]);
        expect(await worker.fly()).toBe('completed');
        expect(await tree(worker.folder)).toEqual({ 'a.txt': 'text', 'd/b': 'x'.repeat(100_000) });
      },
    );
  }
  test('what is not compressed at all is an error, and nothing is lost', async () => {
    const task = { _fw_name: 'DecompressDirTask' };
    expect(await fly(task, { 'a.gz': 'no gzip' })).toMatch(
      /^ValueError: There was an error performing decompression in DIR: /,
    );
    expect(await fly({ ...task, ignore_errors: true }, { 'a.gz': 'no gzip' })).toEqual({ 'a.gz': 'no gzip' });
  });
  test('a folder that is not there', async () =>
    expect(await fly({ _fw_name: 'CompressDirTask', dest: 'none' })).toMatch(
      /^ValueError: There was an error performing compression='gz' in DIR\/none: /,
    ));
});
