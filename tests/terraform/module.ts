/** image/terraform, read as Terraform reads it. */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parse } from '@cdktf/hcl2json';

export const folder = resolve(import.meta.dir, '..', '..', 'image', 'terraform');

/** A block's attributes and blocks; expressions are text, in `${}`. */
export type Body = { [name: string]: unknown };

export interface Module {
  /** By type and name. */
  resource: Record<string, Record<string, Body[]>>;
  variable: Record<string, Body[]>;
  locals: Body[];
  output: Record<string, Body[]>;
  /** The text of all its files. */
  text: string;
}

export async function readModule(): Promise<Module> {
  const whole: Module = { resource: {}, variable: {}, locals: [], output: {}, text: '' };
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.tf'))) {
    const text = await readFile(join(folder, file), 'utf8');
    const {
      resource = {},
      variable = {},
      locals = [],
      output = {},
    } = (await parse(file, text)) as Partial<Module>;
    for (const [type, named] of Object.entries(resource))
      whole.resource[type] = { ...whole.resource[type], ...named };
    Object.assign(whole.variable, variable);
    Object.assign(whole.output, output);
    whole.locals.push(...locals);
    whole.text += text;
  }
  return whole;
}
