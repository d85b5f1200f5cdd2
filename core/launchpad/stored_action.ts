/** Actions too large for a launch document, which FireWorks keeps in GridFS (`get_action_from_gridfs`). */
import { BorealisError, messageOf } from '../errors.ts';
import { mongodbDriver } from './driver.ts';
import { fromJson } from './json.ts';
import { isAway, type LaunchPad } from './launchpad.ts';
import { type Doc, isDoc } from './values.ts';

/**
 * The action itself: `{gridfs_id: ...}` is read from the collection `fw_gridfs`, anything else is returned as it is. Throws
 * BorealisError when it is not there, or no action.
 */
export async function storedAction(launchpad: LaunchPad, action: Doc): Promise<Doc> {
  if (typeof action.gridfs_id !== 'string') return action;
  const value = fromJson((await contentOf(launchpad, action.gridfs_id)).toString('utf8'));
  if (!isDoc(value))
    throw new BorealisError(`The action in GridFS file ${action.gridfs_id} is not a dictionary`);
  return value;
}

async function contentOf({ db }: LaunchPad, id: string): Promise<Buffer> {
  const { GridFSBucket, ObjectId } = await mongodbDriver();
  const bucket = new GridFSBucket(db, { bucketName: 'fw_gridfs' });
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of bucket.openDownloadStream(new ObjectId(id))) chunks.push(chunk as Buffer);
  } catch (thrown) {
    if (isAway(thrown)) throw thrown;
    throw new BorealisError(`The action in GridFS file ${id} cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
  return Buffer.concat(chunks);
}
