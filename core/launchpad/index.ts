/** The LaunchPad and FireWorks' model. Knows no cloud, no command line, no Docker. */
export { addWorkflows, type NewFirework, type NewWorkflow, newWorkflow } from './add.ts';
export { appendWorkflow } from './apply_action.ts';
export { type Claim, type ClaimOptions, claim } from './claim.ts';
export { complete, type Ending, giveUp } from './complete.ts';
export * as control from './control.ts';
export { applyMod } from './dict_mods.ts';
export { createIndexes } from './indexes.ts';
export { fromJson, toJson } from './json.ts';
export { isAway, LaunchPad, type LaunchPadOptions } from './launchpad.ts';
export { futureRunExists, runExists } from './look.ts';
export {
  detectLostRuns,
  freeUnstarted,
  type LostRuns,
  type LostRunsOptions,
  RUN_EXPIRATION_SECS,
} from './lost_runs.ts';
export * from './model.ts';
export { ping, setLaunchDir } from './ping.ts';
export { refreshFirework } from './refresh.ts';
export { type RerunOptions, rerun } from './rerun.ts';
export { cancelReservation, reserve } from './reservations.ts';
export {
  checkLaunchPadKeys,
  describeLaunchPad,
  findLaunchPadFile,
  type LaunchPadSettings,
  launchPadSettings,
  loadLaunchPadSettings,
  parseYaml,
  readLaunchPadFile,
} from './settings.ts';
export { type Doc, isDoc, isoTime, numberOf, plain, plainDoc, TYPED, timeOf, typed } from './values.ts';
export { checkWorkflow, readWorkflowFile } from './workflow_file.ts';
