/** Running a Firework again (`LaunchPad.rerun_fw`, `Workflow.rerun_fw`). */
import { BorealisError } from '../errors.ts';
import type { LaunchPad } from './launchpad.ts';
import { OpenWorkflow } from './open_workflow.ts';
import { refresh } from './refresh.ts';
import { numberOf } from './values.ts';

/**
 * Archives the launches of `fwId` and of everything below it that has started or could, and makes them WAITING or READY
 * again. ARCHIVED and DEFUSED Fireworks are left alone. Fireworks that share its launches are rerun too. Returns the ids of
 * those that were asked for or shared. Throws BorealisError when there is no such Firework.
 */
export async function rerun(launchpad: LaunchPad, fwId: number, withDuplicates = true): Promise<number[]> {
  const projection = { state: 1, launches: 1, 'spec._dupefinder': 1 };
  const firework = await launchpad.fireworks.findOne({ fw_id: fwId }, { projection });
  if (!firework) throw new BorealisError(`There is no Firework with fw_id ${fwId}`);
  const sharing: number[] = [];
  if (withDuplicates && firework.spec?._dupefinder && firework.launches.length > 0) {
    const same = { launches: { $in: firework.launches }, fw_id: { $ne: fwId } };
    for await (const other of launchpad.fireworks.find(same, { projection: { fw_id: 1 } }))
      sharing.push(numberOf(other.fw_id));
  }
  await launchpad.fireworks.updateOne({ fw_id: fwId }, { $unset: { 'spec._recovery': '' } });
  const rerunIds: number[] = [];
  if (!['ARCHIVED', 'DEFUSED', 'WAITING'].includes(firework.state)) {
    await OpenWorkflow.change(launchpad, fwId, (workflow) => rerunIn(workflow, fwId));
    rerunIds.push(fwId);
  }
  for (const other of sharing) rerunIds.push(...(await rerun(launchpad, other, false)));
  return rerunIds;
}

/** Reruns one Firework of an open workflow, then its children that are not WAITING, parents first. */
export async function rerunIn(workflow: OpenWorkflow, fwId: number): Promise<void> {
  await workflow.loadNodes([fwId]);
  const node = workflow.node(fwId);
  if (node.launches.length > 0) {
    node.archivedLaunches = [...new Set([...node.archivedLaunches, ...node.launches])];
    node.launches = [];
    node.changed.add('launches');
  }
  if (node.state === 'FIZZLED') {
    await workflow.loadSpecs([fwId]);
    if (node.spec && '_exception_details' in node.spec) {
      delete node.spec._exception_details;
      node.changed.add('spec');
    }
  }
  workflow.setState(fwId, 'WAITING');
  await refresh(workflow, fwId);
  const children = workflow.children(fwId);
  if (children.length === 0) return;
  await Promise.all([workflow.loadNodes(children), workflow.loadAround(children)]);
  for (const child of children) if (workflow.node(child).state !== 'WAITING') await rerunIn(workflow, child);
}
