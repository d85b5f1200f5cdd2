/** What becomes of an object that is there already when a run stores its output under the same name. Pure. */
import { BorealisError } from '../errors.ts';
import type { StorageObject } from './object.ts';

/** The run that stores: of a Firework, in a LaunchPad. */
export interface Run {
  launchPad: string;
  fwId: number;
  launchId: number;
  /** By the server's clock, as the objects' times. */
  startedAt: Date;
}

const MARK = 'borealis-run';

/** What is kept with an object about the run that stored it. */
export function runMetadata(run: Run): Record<string, string> {
  return { [MARK]: `${launchPadMark(run)}/${run.fwId}/${run.launchId}` };
}

/** Which LaunchPad it is, without telling readers of the bucket where it is. */
function launchPadMark({ launchPad }: Run): string {
  return Bun.hash(launchPad).toString(36);
}

/**
 * - same: it is there already, by an earlier try whose answer was lost, or by another run with the same result;
 * - replace: it is older than this run;
 * - replaceChanged: somebody else stored it while this run went on: the last one wins, which is told;
 * - refuse: a later launch of the same Firework stored it: this run was given up for lost, and comes too late.
 */
export type OnTop = 'same' | 'replace' | 'replaceChanged' | 'refuse';

export function onTop(there: StorageObject, mine: { size: number; crc32c: string }, run: Run): OnTop {
  if (there.size === mine.size && there.crc32c === mine.crc32c) return 'same';
  // Launch ids begin anew when a LaunchPad is reset: only what was stored since this run began can be newer.
  if (!there.updated || there.updated < run.startedAt) return 'replace';
  const [launchPad, fwId, launchId] = there.metadata[MARK]?.split('/') ?? [];
  const ownFirework = launchPad === launchPadMark(run) && Number(fwId) === run.fwId;
  if (ownFirework && Number(launchId) > run.launchId) return 'refuse';
  return ownFirework ? 'replace' : 'replaceChanged';
}

export class StoredByNewerRun extends BorealisError {
  override readonly name = 'StoredByNewerRun';
}
