/** A FilePad's address: FireWorks' `my_filepad.yaml`, or the LaunchPad's own database. */
import { existsSync, readFileSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import { type Doc, isDoc, type LaunchPadSettings, launchPadSettings, parseYaml } from '../launchpad/index.ts';

export interface FilePadSettings {
  /** The database server; it is a LaunchPad's in all but its collections. */
  server: LaunchPadSettings;
  /** The collection of descriptions. */
  filepad: string;
  /** The GridFS bucket of contents. */
  gridfs: string;
  /** Files are texts, whose lines end in \n alone. */
  textMode: boolean;
}

/** FireWorks' defaults for collections, in this database. */
export function filePadIn(server: LaunchPadSettings): FilePadSettings {
  return { server, filepad: 'filepad', gridfs: 'filepad_gfs', textMode: false };
}

/** What a file says (`FilePad.from_db_file`), which may have keys that are not for us, such as a LaunchPad's. */
export function readFilePadFile(path: string): FilePadSettings {
  if (!existsSync(path)) throw new UsageError(`There is no FilePad file ${path} (filepad_file)`);
  const value = parseYaml(readFileSync(path, 'utf8'), path) ?? {};
  if (!isDoc(value)) throw new UsageError(`${path}: a FilePad file is a list of 'key: value' lines`);
  const { host, name, authsource, uri_mode, mongoclient_kwargs } = value;
  const server: Doc = {
    ...{ host, name, authsource, uri_mode, mongoclient_kwargs },
    port: value.port === undefined ? undefined : Number(value.port),
    username: value.admin_user ?? value.username,
    password: value.admin_password ?? value.password,
  };
  const told = Object.entries(server).filter(([, inner]) => inner !== undefined);
  return {
    server: launchPadSettings(Object.fromEntries(told), path),
    filepad: String(value.filepad ?? 'filepad'),
    gridfs: String(value.filepad_gridfs ?? 'filepad_gfs'),
    textMode: value.text_mode === true,
  };
}
