/** The LaunchPad and FireWorks' model. Knows no cloud, no command line, no Docker. */
export { addWorkflows, type NewFirework, type NewWorkflow, newWorkflow } from './add.ts';
export { appendWorkflow } from './apply_action.ts';
export { type Claim, type ClaimOptions, claim } from './claim.ts';
export { complete, type Ending, endsAlone, giveUp, retract } from './complete.ts';
export * as control from './control.ts';
export { type Deleted, deleteFireworks, deleteWorkflow } from './delete.ts';
export { applyMod } from './dict_mods.ts';
export type { DuplicateFinder } from './duplicates.ts';
export { createIndexes } from './indexes.ts';
export { interruptionsOf, seldomPreempted } from './interruptions.ts';
export { type Difference, introspect, SUBJECTS, type Subject } from './introspect.ts';
export { fromJson, toJson } from './json.ts';
export { isAway, LaunchPad, type LaunchPadOptions } from './launchpad.ts';
export { releaseLease, takeLease } from './lease.ts';
export { futureRunExists, runExists } from './look.ts';
export {
  detectLostRuns,
  freeUnstarted,
  type LostRuns,
  type LostRunsOptions,
  RUN_EXPIRATION_SECS,
} from './lost_runs.ts';
export * from './model.ts';
export { addOfflineRun, forgetOffline, type OfflineRun, openOfflineRuns, recoverOffline } from './offline.ts';
export { orphansAmong } from './orphans.ts';
export { ping, setLaunchDir } from './ping.ts';
export { refreshFirework } from './refresh.ts';
export { type RerunOptions, rerun } from './rerun.ts';
export {
  cancelReservation,
  launchOfReservation,
  RESERVATION_EXPIRATION_SECS,
  reservationIds,
  reserve,
  setReservationId,
  staleReservations,
} from './reservations.ts';
export {
  checkLaunchPadKeys,
  databaseIn,
  describeLaunchPad,
  findLaunchPadFile,
  type LaunchPadSettings,
  launchPadSettings,
  loadLaunchPadSettings,
  parseYaml,
  readLaunchPadFile,
} from './settings.ts';
export { type Tracker, track, trackerData, trackersDoc, trackersOf } from './trackers.ts';
export { type Doc, isDoc, isoTime, numberOf, plain, plainDoc, TYPED, timeOf, typed } from './values.ts';
export { checkWorkflow, type ReadWorkflow, readWorkflowFile, readWorkflowFiles } from './workflow_file.ts';
