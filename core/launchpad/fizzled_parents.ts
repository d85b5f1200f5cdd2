/** Telling a Firework with `_allow_fizzled_parents` which of its parents are FIZZLED. */
import type { Document } from 'mongodb';
import type { OpenWorkflow } from './open_workflow.ts';
import { storedAction } from './stored_action.ts';
import { type Doc, isDoc, TYPED } from './values.ts';

/** Fields of a launch that `Launch.to_dict` leaves out. */
const NOT_TOLD = { _id: 0, time_start: 0, time_end: 0, runtime_secs: 0, reservedtime_secs: 0 };

/** Puts whole Fireworks with their launches into `_fizzled_parents`, as Python does. None FIZZLED: nothing is written. */
export async function reportFizzledParents(workflow: OpenWorkflow, fwId: number): Promise<void> {
  const fizzled = workflow.parents(fwId).filter((id) => workflow.stateOf(id) === 'FIZZLED');
  if (fizzled.length === 0) return;
  const { fireworks } = workflow.launchpad;
  const reports: Document[] = [];
  for (const id of fizzled) {
    const parent = await fireworks.findOne({ fw_id: id }, { projection: { _id: 0 }, ...TYPED });
    if (!parent) continue;
    const { launches: own, archived_launches: archived, ...rest } = parent;
    const launches = await launchesOf(workflow, own);
    const archived_launches = await launchesOf(workflow, archived);
    reports.push({
      ...rest,
      state: 'FIZZLED',
      ...(launches.length > 0 && { launches }),
      ...(archived_launches.length > 0 && { archived_launches }),
    });
  }
  await workflow.loadSpecs([fwId]);
  const node = workflow.node(fwId);
  (node.spec as Doc)._fizzled_parents = reports;
  node.hasFizzledParents = true;
  node.changed.add('spec');
}

async function launchesOf({ launchpad }: OpenWorkflow, ids: unknown): Promise<Document[]> {
  const query = { launch_id: { $in: ids as never[] } };
  const found = await launchpad.launches.find(query, { projection: NOT_TOLD, ...TYPED }).toArray();
  for (const launch of found)
    if (isDoc(launch.action)) launch.action = await storedAction(launchpad, launch.action);
  return found;
}
