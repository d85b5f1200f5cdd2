import type { LaunchPad } from './launchpad.ts';

/**
 * Ours alone: what a worker of one category asks for, in the order of its claims. By FireWorks' own indexes it would look at
 * everything READY of other categories, again and again while it idles. Python neither needs nor minds it.
 */
export const BY_CATEGORY = { state: -1, 'spec._category': 1, 'spec._priority': -1, created_on: 1 } as const;

/**
 * Makes FireWorks' indexes (`LaunchPad.tuneup`), the same ones under the same names, so that Python finds them made; and one
 * of ours.
 */
export async function createIndexes(launchpad: LaunchPad): Promise<void> {
  const { db, settings } = launchpad;
  const up = (...fields: string[]) => fields.map((field) => ({ key: { [field]: 1 as const } }));
  const state = { state: -1, 'spec._priority': -1 } as const;
  await launchpad.fireworks.createIndexes([
    { key: { fw_id: 1 }, unique: true },
    ...up('state', 'spec._category', 'created_on', 'updated_on', 'name', 'launches', ...settings.userIndices),
    { key: { state: -1, _id: -1 } },
    { key: { ...state, created_on: -1 } },
    { key: { ...state, created_on: 1 } },
    { key: BY_CATEGORY },
  ]);
  await launchpad.launches.createIndexes([
    { key: { launch_id: 1 }, unique: true },
    ...up(
      'fw_id',
      'state_history.reservation_id',
      'state',
      'time_start',
      'time_end',
      'host',
      'ip',
      'fworker.name',
    ),
  ]);
  await db.collection('fw_gridfs.files').createIndex({ 'metadata.launch_id': 1 }, { unique: true });
  await launchpad.workflows.createIndexes([
    ...up('name', 'created_on', 'updated_on', 'nodes', ...settings.wfUserIndices),
    { key: { state: -1, _id: -1 } },
  ]);
}
