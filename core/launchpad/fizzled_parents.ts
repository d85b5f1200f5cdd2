/** Telling a Firework with `_allow_fizzled_parents` which of its parents are FIZZLED. */
import type { Document } from 'mongodb';
import { mongodbDriver } from './driver.ts';
import type { OpenWorkflow } from './open_workflow.ts';
import { type Doc, TYPED } from './values.ts';

/** Fields of a launch that `Launch.to_dict` leaves out. */
const NOT_TOLD = { _id: 0, time_start: 0, time_end: 0, runtime_secs: 0, reservedtime_secs: 0 };

/** The reports are part of a spec, and that of a document, which may have 16 MiB. */
const MOST_BYTES = 12 * 1024 * 1024;

/**
 * Puts whole Fireworks with their launches into `_fizzled_parents`, as Python does. None FIZZLED: nothing is written. Where
 * they would not fit, the rest is named by `fw_id`, `name` and `state` alone; an action in GridFS stays there. (Python fails.)
 */
export async function reportFizzledParents(workflow: OpenWorkflow, fwId: number): Promise<void> {
  const fizzled = workflow.parents(fwId).filter((id) => workflow.stateOf(id) === 'FIZZLED');
  if (fizzled.length === 0) return;
  const { BSON } = await mongodbDriver();
  const reports: Document[] = [];
  let room = MOST_BYTES;
  for (const id of fizzled) {
    const report = await reportOf(workflow, id);
    if (!report) continue;
    const size = BSON.calculateObjectSize(report);
    const { fw_id, name, state } = report;
    reports.push(size <= room ? report : { fw_id, name, state });
    if (size <= room) room -= size;
  }
  await workflow.loadSpecs([fwId]);
  const node = workflow.node(fwId);
  (node.spec as Doc)._fizzled_parents = reports;
  node.hasFizzledParents = true;
  node.changed.add('spec');
}

async function reportOf(workflow: OpenWorkflow, id: number): Promise<Document | null> {
  const { fireworks } = workflow.launchpad;
  const parent = await fireworks.findOne({ fw_id: id }, { projection: { _id: 0 }, ...TYPED });
  if (!parent) return null;
  const { launches: own, archived_launches: archived, ...rest } = parent;
  const launches = await launchesOf(workflow, own);
  const archived_launches = await launchesOf(workflow, archived);
  return {
    ...rest,
    state: 'FIZZLED',
    ...(launches.length > 0 && { launches }),
    ...(archived_launches.length > 0 && { archived_launches }),
  };
}

async function launchesOf({ launchpad }: OpenWorkflow, ids: unknown): Promise<Document[]> {
  const query = { launch_id: { $in: ids as never[] } };
  return await launchpad.launches.find(query, { projection: NOT_TOLD, ...TYPED }).toArray();
}
