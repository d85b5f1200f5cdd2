/** ForeachTask: a Firework for each part of a list in the spec (fireworks/user_objects/firetasks/dataflow_tasks.py). */
import * as z from 'zod';
import { type Doc, isDoc } from '../../core/launchpad/index.ts';
import { workflowDoc } from '../fwaction.ts';
import { check, type Firetask, specValue } from './firetask.ts';

export const params = z.looseObject({
  task: z.looseObject({ _fw_name: z.string(), inputs: z.union([z.string(), z.array(z.string())]) }),
  split: z.string(),
  'number of chunks': z.number().int().nonnegative().nullish(),
});

export const foreachTask: Firetask = {
  names: ['ForeachTask'],
  params,
  async run(raw, { rawSpec, rawParams }) {
    const { task, split, 'number of chunks': chunks } = raw as z.infer<typeof params>;
    const list = specValue(rawSpec, split);
    check(Array.isArray(list), `'${split}' in the spec is no list`);
    check([task.inputs].flat().includes(split), `'${split}' is not among the inputs of the task`);
    check(list.length > 0, `the list '${split}' is empty`);
    const rawTask = isDoc(rawParams.task) ? rawParams.task : {};
    const detours = parts(list, chunks || list.length).map((part, index): Doc => {
      const spec = { ...rawSpec, [split]: part, _tasks: [{ ...rawTask, chunk_number: index }] };
      return workflowDoc({ fw_id: -1 - index, name: `ForeachTask ${index}`, spec });
    });
    return { detours };
  },
};

/** As many parts or fewer, all of the same length but the last. */
export function parts<T>(list: readonly T[], count: number): T[][] {
  const length = Math.ceil(list.length / count);
  return Array.from({ length: Math.ceil(list.length / length) }, (_, i) =>
    list.slice(i * length, (i + 1) * length),
  );
}
