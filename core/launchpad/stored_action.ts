/** Actions too large for a launch document, which FireWorks keeps in GridFS (`get_action_from_gridfs`). */
import { BorealisError } from '../errors.ts';
import { mongodbDriver } from './driver.ts';
import { fromJson } from './json.ts';
import type { LaunchPad } from './launchpad.ts';
import { type Doc, isDoc } from './values.ts';

/** The action itself: `{gridfs_id: ...}` is read from the collection `fw_gridfs`, anything else is returned as it is. */
export async function storedAction(launchpad: LaunchPad, action: Doc): Promise<Doc> {
  if (typeof action.gridfs_id !== 'string') return action;
  const { GridFSBucket, ObjectId } = await mongodbDriver();
  const bucket = new GridFSBucket(launchpad.db, { bucketName: 'fw_gridfs' });
  const chunks: Buffer[] = [];
  for await (const chunk of bucket.openDownloadStream(new ObjectId(action.gridfs_id)))
    chunks.push(chunk as Buffer);
  const value = fromJson(Buffer.concat(chunks).toString('utf8'));
  if (!isDoc(value))
    throw new BorealisError(`The action in GridFS file ${action.gridfs_id} is not a dictionary`);
  return value;
}
