/**
 * Borealis from a program: `import { Firework, Fleet, LaunchPad, scriptTask, Workflow } from 'borealis'`. docs/library.md is
 * its guide. Stands on core, and on what ctl's commands stand on: ctl/fleet and ctl/watch. Prints nothing.
 */
export type { Vm } from '../core/cloud/compute.ts';
export { BorealisError, UsageError } from '../core/errors.ts';
export type { Deleted, LaunchPadSettings, RerunOptions, State } from '../core/launchpad/index.ts';
export type { Failure } from '../ctl/watch/poll.ts';
export * from './firetasks.ts';
export { Firework, type FireworkOptions, type Spec } from './firework.ts';
export { Fleet, FleetError, type FleetPlace, type NewVms } from './fleet.ts';
export {
  type ConnectOptions,
  type Launch,
  LaunchPad,
  type LaunchPadKeys,
  type StoredFirework,
  type StoredWorkflow,
} from './launchpad.ts';
export type { Progress, WatchOptions } from './progress.ts';
export { Workflow, type WorkflowDocument, type WorkflowOptions } from './workflow.ts';
