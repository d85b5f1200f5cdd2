/** Taking Fireworks and workflows out of the database for good (`LaunchPad.delete_fws`, `delete_wf`). */
import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, resolve } from 'node:path';
import { BorealisError } from '../errors.ts';
import type { LaunchPad } from './launchpad.ts';
import { numberOf } from './values.ts';

/** What went. */
export interface Deleted {
  fireworks: number;
  launches: number;
  launchDirs: number;
}

/** How many Fireworks are deleted together. */
const CHUNK = 1000;

/**
 * Deletes the workflow of `fwId` with its Fireworks and launches, and the launch folders when asked. Throws BorealisError
 * when there is none. A crash leaves a workflow some of whose Fireworks are gone: to delete it again takes the rest.
 */
export async function deleteWorkflow(
  launchpad: LaunchPad,
  fwId: number,
  withLaunchDirs = false,
): Promise<Deleted> {
  const workflow = await launchpad.workflows.findOne({ nodes: fwId }, { projection: { nodes: 1 } });
  if (!workflow) throw new BorealisError(`No workflow has a Firework with fw_id ${fwId}`);
  const nodes = (workflow.nodes as unknown[]).map(numberOf);
  const deleted = await deleteFireworks(launchpad, nodes, withLaunchDirs);
  await launchpad.workflows.deleteOne({ _id: workflow._id });
  return deleted;
}

/**
 * Deletes Fireworks with those of their launches that no other Firework shares, what these have in GridFS, and their
 * folders when asked. Workflows that name the Fireworks are left as they are.
 *
 * Launches go first: after a crash the Fireworks still name what is left, and deleting them again finds it.
 */
export async function deleteFireworks(
  launchpad: LaunchPad,
  fwIds: readonly number[],
  withLaunchDirs = false,
): Promise<Deleted> {
  const deleted: Deleted = { fireworks: 0, launches: 0, launchDirs: 0 };
  for (let i = 0; i < fwIds.length; i += CHUNK) {
    const ids = fwIds.slice(i, i + CHUNK);
    const launchIds = await launchesOfNoOther(launchpad, ids, fwIds);
    if (withLaunchDirs) deleted.launchDirs += await deleteFolders(launchpad, launchIds);
    deleted.launches += await deleteLaunches(launchpad, launchIds);
    deleted.fireworks += (await launchpad.fireworks.deleteMany({ fw_id: { $in: ids } })).deletedCount;
  }
  return deleted;
}

/** The launches of the Fireworks `ids` that belong to none but `all`. */
async function launchesOfNoOther(
  { fireworks }: LaunchPad,
  ids: readonly number[],
  all: readonly number[],
): Promise<number[]> {
  const projection = { launches: 1, archived_launches: 1, fw_id: 1, _id: 0 };
  const own = new Set<number>();
  const launchesIn = async (query: object, take: (fwId: number, launches: number[]) => void) => {
    for await (const { fw_id, launches, archived_launches } of fireworks.find(query, { projection }))
      take(numberOf(fw_id), [...(launches ?? []), ...(archived_launches ?? [])].map(numberOf));
  };
  await launchesIn({ fw_id: { $in: [...ids] } }, (_, launches) => {
    for (const id of launches) own.add(id);
  });
  if (own.size === 0) return [];
  const going = new Set(all);
  const shared = ['launches', 'archived_launches'].map((field) => ({ [field]: { $in: [...own] } }));
  await launchesIn({ $or: shared }, (fwId, launches) => {
    if (!going.has(fwId)) for (const id of launches) own.delete(id);
  });
  return [...own];
}

async function deleteLaunches(launchpad: LaunchPad, ids: readonly number[]): Promise<number> {
  if (ids.length === 0) return 0;
  const { db, launches, offlineRuns } = launchpad;
  const query = { launch_id: { $in: [...ids] } };
  const files = db.collection('fw_gridfs.files').find({ 'metadata.launch_id': query.launch_id });
  for await (const { _id } of files) {
    await db.collection('fw_gridfs.chunks').deleteMany({ files_id: _id });
    await db.collection('fw_gridfs.files').deleteOne({ _id });
  }
  await offlineRuns.deleteMany(query);
  return (await launches.deleteMany(query)).deletedCount;
}

/** Deletes the folders of launches, as far as they are on this machine. */
async function deleteFolders({ launches }: LaunchPad, ids: readonly number[]): Promise<number> {
  const projection = { launch_dir: 1, _id: 0 };
  let count = 0;
  for await (const { launch_dir } of launches.find({ launch_id: { $in: [...ids] } }, { projection })) {
    if (!isLaunchDir(launch_dir)) continue;
    await rm(launch_dir, { recursive: true, force: true }).catch(() => {});
    count++;
  }
  return count;
}

/** Whatever a document says: no folder that this process lives in, and nobody's home. */
export function isLaunchDir(dir: unknown, cwd = process.cwd(), home = homedir()): dir is string {
  if (typeof dir !== 'string' || !isAbsolute(dir)) return false;
  const folder = resolve(dir);
  for (let taken of [cwd, home]) {
    for (; ; taken = dirname(taken)) {
      if (taken === folder) return false;
      if (taken === dirname(taken)) break;
    }
  }
  return true;
}
