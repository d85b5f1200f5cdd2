/** The Firetasks of this worker, by the `_fw_name` in a document. What is not here is Python's to run. */
import { addFiles } from './add_files.ts';
import { archiveDir } from './archive_dir.ts';
import { commandLine } from './command_line.ts';
import { compressDir } from './compress_dir.ts';
import { decompressDir } from './decompress_dir.ts';
import { deleteFiles } from './delete_files.ts';
import { dockerTask } from './docker.ts';
import { fileDelete } from './file_delete.ts';
import { fileTransfer } from './file_transfer.ts';
import { fileWrite } from './file_write.ts';
import type { Firetask } from './firetask.ts';
import { foreachTask } from './foreach.ts';
import { getFiles } from './get_files.ts';
import { getFilesByQuery } from './get_files_by_query.ts';
import { importData } from './import_data.ts';
import { joinDict } from './join_dict.ts';
import { joinList } from './join_list.ts';
import { pythonTask } from './python.ts';
import { scriptTask } from './script.ts';
import { templateWriter } from './template_writer.ts';

const ALL: readonly Firetask[] = [
  scriptTask,
  fileWrite,
  fileTransfer,
  fileDelete,
  archiveDir,
  compressDir,
  decompressDir,
  dockerTask,
  commandLine,
  foreachTask,
  joinDict,
  joinList,
  importData,
  templateWriter,
  addFiles,
  getFiles,
  getFilesByQuery,
  deleteFiles,
];

const byName = new Map(ALL.flatMap((task) => task.names.map((name) => [name, task] as const)));

/** The Firetask for a `_fw_name`. FireWorks' old spelling with blanks ("Script Task") is understood. */
export function firetaskNamed(name: string): Firetask {
  return byName.get(name) ?? byName.get(name.replaceAll(' ', '')) ?? pythonTask;
}
