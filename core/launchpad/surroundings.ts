/**
 * Questions about a whole workflow that the server answers in a few words, so that what a rocket reads does not grow with
 * the workflow. They look at the workflow document as it is stored: changes that are not written yet are the asker's to add.
 */
import type { Document } from 'mongodb';
import type { LaunchPad } from './launchpad.ts';
import type { State } from './model.ts';
import { SAMPLE } from './still_open.ts';
import { numberOf } from './values.ts';

/** The entries {k: id, v: state} of `fw_states` for which `condition` holds. */
const statesWhere = (condition: Document): Document => ({
  $filter: { input: { $objectToArray: '$fw_states' }, as: 's', cond: condition },
});

const pick = (input: unknown, field: 'k' | 'v'): Document => ({
  $map: { input, as: 's', in: `$$s.${field}` },
});

const asked = async (launchpad: LaunchPad, id: unknown, stages: Document[]): Promise<Document> => {
  const [answer] = await launchpad.workflows.aggregate([{ $match: { _id: id } }, ...stages]).toArray();
  return answer ?? {};
};

/**
 * For each of `children` of Firework `parent` other parents of it that are not COMPLETED: those with the highest ids, of however many
 * there are. Those without any wait for `parent` alone.
 */
export async function othersAwaited(
  launchpad: LaunchPad,
  workflowId: unknown,
  parent: number,
  children: readonly number[],
): Promise<Map<number, number[]>> {
  if (children.length === 0) return new Map();
  const others = { $and: [{ $ne: ['$$s.v', 'COMPLETED'] }, { $ne: ['$$s.k', String(parent)] }] };
  const parentsOf = (child: number): Document => ({ $ifNull: [`$parent_links.${child}`, []] });
  const severalParents = { $or: children.map((child) => ({ $gt: [{ $size: parentsOf(child) }, 1] })) };
  // As numbers: they are sorted, and as a text 99 comes after 600.
  const open = { $map: { input: statesWhere(others), as: 's', in: { $toLong: '$$s.k' } } };
  const answer = await asked(launchpad, workflowId, [
    {
      $project: {
        // In a chain nobody else is awaited: no need to look at thousands of states.
        open: { $cond: [severalParents, open, []] },
        ...Object.fromEntries(children.map((child) => [`c${child}`, parentsOf(child)])),
      },
    },
    {
      $project: Object.fromEntries(
        // The last ones: what was added last is taken last, among equals.
        children.map((child) => [
          `c${child}`,
          { $slice: [{ $setIntersection: [`$c${child}`, '$open'] }, -SAMPLE] },
        ]),
      ),
    },
  ]);
  const awaited = new Map(
    children.map((child) => [child, ((answer[`c${child}`] ?? []) as unknown[]).map(numberOf)]),
  );
  launchpad.stillOpen.rememberParents(workflowId, awaited);
  return awaited;
}

/** What the state of a workflow depends on, beside the Fireworks that are being changed. */
export interface Others {
  /** The states that there are among the others. */
  states: State[];
  fizzled: number[];
  /** Whether all others without children are COMPLETED. */
  leavesCompleted: boolean;
  /** Which of `changing` have no children. */
  leaves: number[];
}

/** Looks at all Fireworks but `changing`. */
export async function othersThan(
  launchpad: LaunchPad,
  workflowId: unknown,
  changing: readonly number[],
): Promise<Others> {
  const own = changing.map(String);
  const where = (field: 'v', state: string): Document => ({
    $filter: { input: '$others', as: 's', cond: { $eq: [`$$s.${field}`, state] } },
  });
  const answer = await asked(launchpad, workflowId, [
    {
      $project: {
        others: statesWhere({ $not: [{ $in: ['$$s.k', own] }] }),
        leaves: pick(
          {
            $filter: {
              input: { $objectToArray: '$links' },
              as: 's',
              cond: { $eq: [{ $size: '$$s.v' }, 0] },
            },
          },
          'k',
        ),
      },
    },
    {
      $project: {
        states: { $setUnion: [pick('$others', 'v'), []] },
        fizzled: pick(where('v', 'FIZZLED'), 'k'),
        open: {
          $slice: [
            { $setDifference: ['$leaves', { $setUnion: [pick(where('v', 'COMPLETED'), 'k'), own] }] },
            -SAMPLE,
          ],
        },
        leaves: { $setIntersection: ['$leaves', own] },
      },
    },
  ]);
  const open = ((answer.open ?? []) as string[]).map(Number);
  launchpad.stillOpen.rememberLeaves(workflowId, open);
  return {
    states: (answer.states ?? []) as State[],
    fizzled: ((answer.fizzled ?? []) as string[]).map(Number),
    leavesCompleted: open.length === 0,
    leaves: ((answer.leaves ?? []) as string[]).map(Number),
  };
}
