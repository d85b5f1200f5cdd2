import { defineCommand } from 'citty';
import { readEndpoints } from '../../../core/cloud/endpoints.ts';
import { parseStoragePath, Storage } from '../../../core/cloud/storage.ts';
import { print } from '../../output.ts';

export const examples = [
  'borealisctl storage cat gs://my-bucket/results/summary.txt',
  'borealisctl storage cat gs://my-bucket/log.txt | tail',
];

export default defineCommand({
  meta: { name: 'cat', description: 'prints an object' },
  args: { path: { type: 'positional', required: true, description: 'gs://BUCKET/OBJECT' } },
  async run({ args: flags }) {
    const { bucket, path } = parseStoragePath(flags.path);
    print(Buffer.from(await new Storage(readEndpoints()).read(bucket, path)).toString('utf8'));
  },
});
