/** JoinDictTask: puts values of the spec together in a dictionary (fireworks/user_objects/firetasks/dataflow_tasks.py). */
import * as z from 'zod';
import { isDoc } from '../../core/launchpad/index.ts';
import { check, type Firetask, specValue } from './firetask.ts';

export const params = z.looseObject({
  inputs: z.array(z.string()),
  output: z.string(),
  rename: z.record(z.string(), z.string()).nullish(),
});

export const joinDict: Firetask = {
  names: ['JoinDictTask'],
  params,
  async run(raw, { rawSpec }) {
    const { inputs, output, rename } = raw as z.infer<typeof params>;
    const before = Object.hasOwn(rawSpec, output) ? rawSpec[output] : {};
    check(isDoc(before), `'${output}' in the spec is no dictionary`);
    const added = inputs.map((key) => [rename?.[key] ?? key, specValue(rawSpec, key)]);
    return { update_spec: { [output]: { ...before, ...Object.fromEntries(added) } } };
  },
};
