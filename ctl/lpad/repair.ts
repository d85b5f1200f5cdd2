/** Working out a workflow's states from its Fireworks again. */
import { type LaunchPad, refreshFirework } from '../../core/launchpad/index.ts';
import { OpenWorkflow } from '../../core/launchpad/open_workflow.ts';

/** Refreshes the roots of the workflow of `fwId` and, through them, what changes below (`Workflow.refresh`). */
export async function refreshWorkflow(launchpad: LaunchPad, fwId: number): Promise<void> {
  const roots = await OpenWorkflow.change(launchpad, fwId, async (workflow) => {
    await workflow.loadWhole();
    return workflow.ids().filter((id) => workflow.parents(id).length === 0);
  });
  for (const root of roots) await refreshFirework(launchpad, root);
}
