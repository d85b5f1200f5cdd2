import { existsSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { defineCommand } from 'citty';
import { readEndpoints } from '../../../core/cloud/endpoints.ts';
import { parseStoragePath, Storage } from '../../../core/cloud/storage.ts';
import { UsageError } from '../../../core/errors.ts';
import { note } from '../../output.ts';

export const examples = [
  'borealisctl storage cp text.txt gs://my-bucket/input/text.txt',
  'borealisctl storage cp gs://my-bucket/results/ results/',
];

export default defineCommand({
  meta: { name: 'cp', description: "copies a file or (with a '/' at the end) a tree to storage or from it" },
  args: {
    from: { type: 'positional', required: true, description: 'a file or folder, or gs://BUCKET/PATH' },
    to: { type: 'positional', required: true, description: 'gs://BUCKET/PATH, or a file or folder' },
  },
  async run({ args: { from, to } }) {
    const [up, down] = [to.startsWith('gs://'), from.startsWith('gs://')];
    if (up === down)
      throw new UsageError('storage cp: one of the two is gs://BUCKET/PATH, the other is here');
    const storage = new Storage(readEndpoints());
    if (up) {
      if (!existsSync(from)) throw new UsageError(`There is no file ${from}`);
      const { bucket, path } = parseStoragePath(to);
      if (statSync(from).isDirectory()) {
        const count = await storage.uploadTree(
          from,
          bucket,
          path === '' || path.endsWith('/') ? path : `${path}/`,
        );
        note(`Copied ${count} files to gs://${bucket}/${path}`);
        return;
      }
      const object = path === '' || path.endsWith('/') ? path + basename(from) : path;
      await storage.upload(from, bucket, object);
      note(`Copied to gs://${bucket}/${object}`);
      return;
    }
    const { bucket, path } = parseStoragePath(from);
    if (path === '' || path.endsWith('/')) {
      note(`Copied ${await storage.downloadTree(bucket, path, resolve(to))} files to ${to}`);
      return;
    }
    const folder = to.endsWith('/') || (existsSync(to) && statSync(to).isDirectory());
    const target = folder ? join(to, basename(path)) : to;
    await storage.download(bucket, path, resolve(target));
    note(`Copied to ${target}`);
  },
});
