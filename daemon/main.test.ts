/** What is loaded before a worker has anything to do: an idle one holds it for as long as it lives. */
import { expect, test } from 'bun:test';
import { join } from 'node:path';

/** Bundles main.ts, and returns the npm packages that are loaded with it, not when something first needs them. */
async function loadedAtOnce(): Promise<string[]> {
  const entrypoints = [join(import.meta.dir, 'main.ts')];
  const { metafile } = await Bun.build({ entrypoints, target: 'bun', splitting: true, metafile: true });
  const inputs = metafile?.inputs ?? {};
  const loaded = new Set(Object.keys(inputs).filter((path) => path.endsWith('daemon/main.ts')));
  for (const path of loaded)
    for (const { path: other, kind } of inputs[path]?.imports ?? [])
      if (kind !== 'dynamic-import') loaded.add(other);
  expect(loaded.size).toBeGreaterThan(100);
  const names = [...loaded].map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]);
  return [...new Set(names)].filter((name) => name !== undefined).sort();
}

test('neither a client of Google’s nor a template engine is loaded before somebody needs it', async () => {
  const names = await loadedAtOnce();
  const own = names.filter((name) => !name.startsWith('@node-rs/crc32'));
  // Docker's client, settings, and values of documents; the mongodb driver follows with the connection.
  expect(own).toEqual(['bson', 'undici', 'yaml', 'zod']);
});
