/**
 * Random stories: a workflow whose Firetasks do all that an FWAction can, and what happens to it meanwhile. Told by
 * `tell.ts` to our LaunchPad, and by tests/python/tell.py to Python FireWorks.
 *
 * Each Firework has a name and a `_priority` of its own, so that everybody runs them in the same order and the same ids
 * are given to what is added on the way.
 */
import fc from 'fast-check';
import type { Doc } from '../values.ts';

/** One thing that happens. `at` picks the Firework: the `at`-th of those that exist then, counted round. */
export type Step =
  | { do: 'run'; rockets: number }
  | { do: 'rerun' | 'pause' | 'resume' | 'defuse' | 'reignite'; at: number }
  | { do: 'pauseWorkflow' | 'defuseWorkflow' | 'reigniteWorkflow' }
  /** A worker takes a Firework and dies; the lost run is found, and fizzled or rerun. */
  | { do: 'lose'; rerun: boolean }
  | { do: 'append'; at: number; detour: boolean; workflow: Doc };

export interface Story {
  workflow: Doc;
  steps: Step[];
}

interface Plan {
  /** For each Firework after the first its parents, as numbers to be counted round among those before it. */
  parents: number[][];
  acts: Act[];
}

type Act =
  | {
      act:
        | 'nothing'
        | 'boom'
        | 'exit'
        | 'defuse_children'
        | 'defuse_workflow'
        | 'nothing, allows fizzled parents';
    }
  | { act: 'update' | 'mod'; key: number; propagate: boolean }
  | { act: 'additions' | 'detours'; plans: Plan[] };

const simple = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Act>({ act: 'nothing' }) },
  { weight: 2, arbitrary: fc.constant<Act>({ act: 'nothing, allows fizzled parents' }) },
  { weight: 2, arbitrary: fc.constant<Act>({ act: 'boom' }) },
  { weight: 1, arbitrary: fc.constant<Act>({ act: 'exit' }) },
  { weight: 1, arbitrary: fc.constant<Act>({ act: 'defuse_children' }) },
  {
    weight: 5,
    arbitrary: fc.record<Extract<Act, { key: number }>>({
      act: fc.constantFrom('update' as const, 'mod' as const),
      key: fc.nat(2),
      propagate: fc.boolean(),
    }),
  },
);

const plan = (act: fc.Arbitrary<Act>, size: number): fc.Arbitrary<Plan> =>
  fc.integer({ min: 1, max: size }).chain((count) =>
    fc.record({
      parents: fc.tuple(...Array.from({ length: count }, () => fc.array(fc.nat(20), { maxLength: 3 }))),
      acts: fc.tuple(...Array.from({ length: count }, () => act)),
    }),
  );

const any = fc.oneof(
  { weight: 10, arbitrary: simple },
  { weight: 1, arbitrary: fc.constant<Act>({ act: 'defuse_workflow' }) },
  {
    weight: 4,
    arbitrary: fc.record<Extract<Act, { plans: Plan[] }>>({
      act: fc.constantFrom('additions' as const, 'detours' as const),
      plans: fc.array(plan(simple, 3), { minLength: 1, maxLength: 2 }),
    }),
  },
);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('run' as const), rockets: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'rerun' as const,
        'pause' as const,
        'resume' as const,
        'defuse' as const,
        'reignite' as const,
      ),
      at: fc.nat(20),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('pauseWorkflow' as const, 'defuseWorkflow' as const, 'reigniteWorkflow' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), rerun: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      at: fc.nat(20),
      detour: fc.boolean(),
      workflow: plan(simple, 3) as unknown as fc.Arbitrary<Doc>,
    }),
  },
);

/** Workflows of up to seven Fireworks, and up to eight things that happen. */
export const stories: fc.Arbitrary<Story> = fc
  .record({ plan: plan(any, 7), steps: fc.array(step, { maxLength: 8 }) })
  .map(({ plan: first, steps }) => {
    const counter = { last: 0 };
    return {
      workflow: { ...workflowOf(first, counter), name: 'story' },
      steps: steps.map((one) =>
        one.do === 'append' ? { ...one, workflow: workflowOf(one.workflow as never, counter) } : one,
      ),
    };
  });

/** Ids and priorities count through the whole story. */
function workflowOf({ parents, acts }: Plan, counter: { last: number }): Doc {
  const ids = acts.map(() => --counter.last);
  const links: Record<string, number[]> = Object.fromEntries(ids.map((id) => [id, []]));
  for (const [i, wanted] of parents.entries()) {
    if (i === 0) continue;
    for (const parent of new Set(wanted.map((n) => ids[n % i] as number)))
      links[parent]?.push(ids[i] as number);
  }
  return { fws: acts.map((act, i) => fireworkOf(act, ids[i] as number, counter)), links, metadata: {} };
}

function fireworkOf(act: Act, id: number, counter: { last: number }): Doc {
  const spec: Doc = { _priority: id, _tasks: [{ _fw_name: 'Act', ...parameters(act, id, counter) }] };
  if (act.act === 'nothing, allows fizzled parents') spec._allow_fizzled_parents = true;
  return { fw_id: id, name: `f${-id}`, spec };
}

function parameters(act: Act, id: number, counter: { last: number }): Doc {
  switch (act.act) {
    case 'boom':
      return { boom: `f${-id} failed` };
    case 'exit':
      return { exit: true, stored: { exit: id } };
    case 'defuse_children':
    case 'defuse_workflow':
      return { [act.act]: true };
    case 'update':
      return { update: { [`u${act.key}`]: { by: id, list: [id, 0.5] } }, propagate: act.propagate };
    case 'mod':
      return {
        mod: [
          { _push: { [`pushed${act.key}`]: id } },
          { _inc: { [`n${act.key}`]: 2 } },
          { _set: { 'a->b': id } },
        ],
        propagate: act.propagate,
      };
    case 'additions':
    case 'detours':
      return { [act.act]: act.plans.map((one) => workflowOf(one, counter)), stored: { grew: id } };
    default:
      return {};
  }
}
