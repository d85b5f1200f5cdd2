/**
 * Trackers: the last lines of files that a Firework writes, kept in its launch for people to look at (`Tracker` of
 * fireworks/core/firework.py). A spec names the files in `_trackers`.
 */
import { open, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { codeOf } from '../errors.ts';
import type { LaunchPad } from './launchpad.ts';
import { type Doc, isDoc, numberOf, plainDoc } from './values.ts';

export interface Tracker {
  filename: string;
  nlines: number;
  allow_zipped: boolean;
  /** The last lines, once there were any. */
  content?: string;
}

/** FireWorks' `TRACKER_LINES` and `Tracker.MAX_TRACKER_LINES`. */
const LINES = 25;
const MOST_LINES = 1000;

/** Lines may be of any length, a launch document may not. */
const MOST_BYTES = 1024 * 1024;

/** The trackers of a launch document, or of a spec's `_trackers`. What has no file name is none. */
export function trackersOf(value: unknown): Tracker[] {
  return (Array.isArray(value) ? value : []).flatMap((item): Tracker[] => {
    if (!isDoc(item)) return [];
    const { filename, nlines = LINES, allow_zipped, content } = plainDoc(item);
    if (typeof filename !== 'string') return [];
    return [
      {
        filename,
        nlines: Math.min(Number(nlines) || LINES, MOST_LINES),
        allow_zipped: allow_zipped === true,
        ...(typeof content === 'string' && content && { content }),
      },
    ];
  });
}

/** The same trackers with what their files end with now; of a file that is not there the old content stays. */
export async function track(trackers: readonly Tracker[], launchDir: string): Promise<Tracker[]> {
  return await Promise.all(
    trackers.map(async (tracker) => {
      const path = isAbsolute(tracker.filename) ? tracker.filename : join(launchDir, tracker.filename);
      const content = await lastLines(path, tracker.nlines, tracker.allow_zipped);
      if (content === null) return tracker;
      const { content: _, ...rest } = tracker;
      return content === '' ? rest : { ...rest, content };
    }),
  );
}

/** The last `count` lines of a file, or of its `.gz` when that alone is there. Null: there is no such file. */
async function lastLines(path: string, count: number, zipped: boolean): Promise<string | null> {
  const end = (await endOf(path)) ?? (zipped ? await endOfZipped(`${path}.gz`) : null);
  if (end === null) return null;
  const lines = end.replace(/\r?\n$/, '').split('\n');
  return lines
    .slice(-count)
    .map((line) => line.replace(/\r+$/, ''))
    .join('\n');
}

async function endOf(path: string): Promise<string | null> {
  const file = await open(path).catch(absent);
  if (!file) return null;
  try {
    const { size } = await file.stat();
    const length = Math.min(size, MOST_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** A zipped file is read whole, for only from its beginning can it be unpacked. */
async function endOfZipped(path: string): Promise<string | null> {
  const zipped = await readFile(path).catch(absent);
  return zipped && gunzipSync(zipped).subarray(-MOST_BYTES).toString('utf8');
}

function absent(thrown: unknown): null {
  if (codeOf(thrown) === 'ENOENT') return null;
  throw thrown;
}

/** What the trackers of a Firework's launches saw last, archived launches too (`LaunchPad.get_tracker_data`). */
export async function trackerData(
  { launches }: LaunchPad,
  fwId: number,
): Promise<{ launch_id: number; trackers: Tracker[] }[]> {
  const projection = { trackers: 1, launch_id: 1, _id: 0 };
  const found: { launch_id: number; trackers: Tracker[] }[] = [];
  for await (const launch of launches.find({ fw_id: fwId, trackers: { $exists: true } }, { projection }))
    found.push({ launch_id: numberOf(launch.launch_id), trackers: trackersOf(launch.trackers) });
  return found;
}

/** For a launch document. */
export const trackersDoc = (trackers: readonly Tracker[]): Doc[] =>
  trackers.map((tracker) => ({ ...tracker }));
