/** TemplateWriterTask: fills in a Jinja2 template (fireworks/user_objects/firetasks/templatewriter_task.py). */
import { readFile, writeFile } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import * as z from 'zod';
import { codeOf } from '../../core/errors.ts';
import { type Doc, isDoc } from '../../core/launchpad/index.ts';
import { fwConfig } from '../fw_config.ts';
import { type Firetask, fail, truth } from './firetask.ts';
import { renderJinja } from './jinja.ts';
import { pythonTask } from './python.ts';

export const params = z.looseObject({
  template_file: z.string().min(1),
  context: z.record(z.string(), z.unknown()),
  output_file: z.string().min(1),
  /** Without effect, as in FireWorks 2.1: the file is written anew all the same. */
  append: truth.optional(),
  template_dir: z.string().nullish(),
});

export const templateWriter: Firetask = {
  names: ['TemplateWriterTask'],
  params,
  globalSpec: true,
  async run(raw, flight) {
    const { template_file, output_file, template_dir } = raw as z.infer<typeof params>;
    const { TEMPLATE_DIR } = fwConfig(flight.env);
    const named = template_dir || (typeof TEMPLATE_DIR === 'string' && TEMPLATE_DIR);
    // With neither, FireWorks looks among the examples that are part of its package.
    if (!named && !isAbsolute(template_file)) {
      const rawParams = { ...flight.rawParams, _fw_name: 'TemplateWriterTask' };
      return await pythonTask.run(raw, { ...flight, rawParams });
    }
    const folder = resolve(flight.launchDir, named || '.');
    const file = resolve(folder, template_file);
    const source = await readFile(file, 'utf8').catch((thrown) => {
      if (codeOf(thrown) !== 'ENOENT') throw thrown;
      return fail('ValueError', `TemplateWriterTask could not find a template file at: ${file}`);
    });
    const { context } = flight.rawParams;
    const text = await renderJinja(source, isDoc(context) ? context : ({} as Doc), folder);
    await writeFile(resolve(flight.launchDir, output_file), text);
    return null;
  },
};
