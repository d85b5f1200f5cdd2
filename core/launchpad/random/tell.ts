/** Tells a random story to a LaunchPad. */
import { addWorkflows, newWorkflow } from '../add.ts';
import { appendWorkflow } from '../apply_action.ts';
import { claim } from '../claim.ts';
import {
  defuse,
  defuseWorkflow,
  nodesOf,
  pause,
  pauseWorkflow,
  reignite,
  reigniteWorkflow,
  resume,
} from '../control.ts';
import type { LaunchPad } from '../launchpad.ts';
import { detectLostRuns } from '../lost_runs.ts';
import type { FWorker } from '../model.ts';
import { rocket } from '../recorded/rocket.ts';
import { rerun } from '../rerun.ts';
import type { Step, Story } from './story.ts';

export const HOME = '/tmp/home';
const worker: FWorker = { name: 'teller', category: '', query: {}, env: {} };

/** More rockets than any story needs to come to its end. */
const MANY = 60;

/** Adds the workflow, does each step, and flies what is READY in the end. `after` is called after each of them. */
export async function tell(
  launchpad: LaunchPad,
  story: Story,
  after: (step: Step | 'add' | 'end') => Promise<void> = async () => {},
): Promise<void> {
  const [ids] = await addWorkflows(launchpad, [newWorkflow(story.workflow)]);
  const first = Math.min(...(ids as Map<number, number>).values());
  await after('add');
  for (const step of story.steps) {
    await take(launchpad, first, step);
    await after(step);
  }
  await run(launchpad, MANY);
  await after('end');
}

async function run(launchpad: LaunchPad, rockets: number): Promise<void> {
  for (let i = 0; i < rockets; i++) if (!(await rocket(launchpad, worker, HOME))) return;
}

async function take(launchpad: LaunchPad, first: number, step: Step): Promise<void> {
  switch (step.do) {
    case 'run':
      return await run(launchpad, step.rockets);
    case 'lose':
      await claim(launchpad, worker, { launchDir: () => HOME });
      await detectLostRuns(launchpad, { expirationSecs: -1, fizzle: !step.rerun, rerun: step.rerun });
      return;
    case 'pauseWorkflow':
      return await pauseWorkflow(launchpad, first);
    case 'defuseWorkflow':
      return await defuseWorkflow(launchpad, first);
    case 'reigniteWorkflow':
      return await reigniteWorkflow(launchpad, first);
  }
  const ids = (await nodesOf(launchpad, first)).sort((a, b) => a - b);
  const fwId = ids[step.at % ids.length] as number;
  if (step.do === 'rerun') await rerun(launchpad, fwId);
  else if (step.do === 'append')
    // One that comes too late is refused, by us and by Python alike.
    await appendWorkflow(launchpad, newWorkflow(step.workflow), [fwId], { detour: step.detour }).catch(
      () => {},
    );
  else await { pause, resume, defuse, reignite }[step.do](launchpad, fwId);
}
