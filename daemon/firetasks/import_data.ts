/** ImportDataTask: reads a JSON or YAML file into the spec (fireworks/user_objects/firetasks/dataflow_tasks.py). */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import { type Doc, fromJson, isDoc } from '../../core/launchpad/index.ts';
import { copy } from '../../core/launchpad/values.ts';
import { typedYaml } from '../../core/launchpad/workflow_file.ts';
import { check, type Firetask, fail, specValue } from './firetask.ts';

export const params = z.looseObject({
  filename: z.string(),
  /** `a/b/c`: the place in the spec. */
  mapstring: z.string(),
});

export const importData: Firetask = {
  names: ['ImportDataTask'],
  params,
  async run(raw, { launchDir, rawSpec }) {
    const { filename, mapstring } = raw as z.infer<typeof params>;
    const format = filename.split('.').at(-1);
    check(format === 'json' || format === 'yaml', `${filename} must end in .json or .yaml`);
    const text = await readFile(resolve(launchDir, filename), 'utf8').catch((thrown) =>
      fail('FileNotFoundError', messageOf(thrown)),
    );
    const data = format === 'json' ? fromJson(text) : typedYaml(text, filename);
    return { update_spec: placed(rawSpec, mapstring.split('/'), data) };
  },
};

/** The part of the spec that changes when `data` is put at `path`: a dictionary joins the one that is there. */
export function placed(spec: Doc, path: readonly string[], data: unknown): Doc {
  const [root = '', ...rest] = path;
  const changed: Doc = { [root]: rest.length > 0 ? copy(specValue(spec, root)) : spec[root] };
  let leaf = changed;
  for (const [i, key] of path.slice(0, -1).entries()) {
    const inner = specValue(leaf, key);
    if (!isDoc(inner)) fail('TypeError', `${path.slice(0, i + 1).join('/')} in the spec is no dictionary`);
    leaf = inner;
  }
  const last = path.at(-1) as string;
  const before = leaf[last];
  if (!isDoc(data) || before === undefined) leaf[last] = data;
  else if (isDoc(before)) leaf[last] = { ...before, ...data };
  else fail('AttributeError', `${path.join('/')} in the spec is no dictionary, which the file's could join`);
  return changed;
}
