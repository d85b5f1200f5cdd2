/** JoinListTask: puts values of the spec together in a list (fireworks/user_objects/firetasks/dataflow_tasks.py). */
import * as z from 'zod';
import { check, type Firetask, specValue } from './firetask.ts';

export const params = z.looseObject({ inputs: z.array(z.string()), output: z.string() });

export const joinList: Firetask = {
  names: ['JoinListTask'],
  params,
  async run(raw, { rawSpec }) {
    const { inputs, output } = raw as z.infer<typeof params>;
    const before = Object.hasOwn(rawSpec, output) ? rawSpec[output] : [];
    check(Array.isArray(before), `'${output}' in the spec is no list`);
    return { update_spec: { [output]: [...before, ...inputs.map((key) => specValue(rawSpec, key))] } };
  },
};
