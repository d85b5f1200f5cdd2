import { defineCommand } from 'citty';
import { readEndpoints } from '../../../core/cloud/endpoints.ts';
import { parseStoragePath, Storage, type StorageObject } from '../../../core/cloud/storage.ts';
import { printJson, printLine, printTable } from '../../output.ts';

export const examples = [
  'borealisctl storage ls gs://my-bucket/results/',
  'borealisctl storage ls -l gs://my-bucket/results/run1',
];

export default defineCommand({
  meta: { name: 'ls', description: 'lists the objects whose names begin with a path' },
  args: {
    path: { type: 'positional', required: true, description: 'gs://BUCKET/PATH' },
    long: { type: 'boolean', alias: 'l', description: 'with sizes and times' },
    json: { type: 'boolean', description: 'print the list as JSON' },
  },
  async run({ args: flags }) {
    const { bucket, path } = parseStoragePath(flags.path);
    const storage = new Storage(readEndpoints());
    if (flags.json) return printJson(await Array.fromAsync(storage.list(bucket, path)));
    if (flags.long) {
      const objects: StorageObject[] = await Array.fromAsync(storage.list(bucket, path));
      return await printTable(objects, [
        { title: 'BYTES', value: ({ size }) => size, align: 'right' },
        { title: 'UPDATED', value: ({ updated }) => updated?.toISOString().slice(0, 19).replace('T', ' ') },
        { title: 'OBJECT', value: ({ name }) => `gs://${bucket}/${name}`, shrinks: true },
      ]);
    }
    for await (const { name } of storage.list(bucket, path)) printLine(`gs://${bucket}/${name}`);
  },
});
