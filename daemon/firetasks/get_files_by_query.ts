/** GetFilesByQueryTask: takes the files out of a FilePad that a query finds (fireworks/user_objects/firetasks/filepad_tasks.py). */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { stringify } from 'yaml';
import * as z from 'zod';
import { type Doc, isDoc, plain, toJson } from '../../core/launchpad/index.ts';
import { filePadOf } from './filepad_of.ts';
import { type Firetask, fail, flag } from './firetask.ts';

export const params = z.looseObject({
  query: z.record(z.string(), z.unknown()),
  sort_key: z.string().nullish(),
  sort_direction: z.union([z.literal(1), z.literal(-1)]).default(-1),
  limit: z.number().int().nullish(),
  fizzle_empty_result: flag(true),
  fizzle_degenerate_file_name: flag(true),
  filepad_file: z.string().nullish(),
  dest_dir: z.string().nullish(),
  new_file_names: z.array(z.string()).nullish(),
  meta_file: flag(false),
  meta_file_suffix: z.string().default('.meta.yaml'),
});

export const getFilesByQuery: Firetask = {
  names: ['GetFilesByQueryTask'],
  params,
  async run(raw, flight) {
    const task = raw as z.infer<typeof params>;
    const query = arrowsToDots(flight.rawParams.query) as Doc;
    await using filepad = await filePadOf(flight, task.filepad_file);
    const all = await filepad.query(query, {
      sortKey: task.sort_key,
      descending: task.sort_direction === -1,
    });
    if (task.fizzle_empty_result && all.length === 0)
      fail('ValueError', `Query yielded empty result! (query: ${toJson(query)})`);
    const used = new Set<string>();
    for (const [i, found] of all.slice(0, task.limit ?? undefined).entries()) {
      flight.signal.throwIfAborted();
      const name = task.new_file_names?.length ? task.new_file_names[i] : String(found.original_file_name);
      if (name === undefined) fail('IndexError', `new_file_names has no name for '${found.identifier}'`);
      if (task.fizzle_degenerate_file_name && used.has(name))
        fail(
          'ValueError',
          `The local file name ${name} is used a second time by result ${i}/${all.length}! (query: ${toJson(query)})`,
        );
      used.add(name);
      const path = resolve(flight.launchDir, task.dest_dir ?? '.', name);
      await filepad.fetch(found, path);
      if (task.meta_file)
        await writeFile(
          `${path}${task.meta_file_suffix}`,
          stringify(plain(found.metadata), { indentSeq: false }),
        );
    }
    return null;
  },
};

/** Nested keys are told with `->` where a document may have no dots: `metadata->step`. Lists are left as they are. */
export function arrowsToDots(value: unknown): unknown {
  if (!isDoc(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.replaceAll('->', '.'), arrowsToDots(inner)]),
  );
}
