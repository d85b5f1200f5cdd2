import { nearest } from '../nearest.ts';

/** The Firetasks that a worker of ours knows by name. Others (`{{module.Class}}`, `my_package.Task`) are Python's to find. */
export const BUILT_IN = [
  'ScriptTask',
  'PyTask',
  'FileWriteTask',
  'FileDeleteTask',
  'FileTransferTask',
  'ArchiveDirTask',
  'CompressDirTask',
  'DecompressDirTask',
  'CommandLineTask',
  'TemplateWriterTask',
  'ForeachTask',
  'JoinDictTask',
  'JoinListTask',
  'ImportDataTask',
  'AddFilesTask',
  'GetFilesTask',
  'GetFilesByQueryTask',
  'DeleteFilesTask',
  'DockerTask',
  '{{borealis.docker_task.DockerTask}}',
] as const;

/**
 * Null when a worker can be expected to know the Firetask; otherwise what to say about it. Names of modules and classes are
 * taken on trust: they are looked up where they run.
 */
export function checkFiretaskName(name: string): string | null {
  const known: readonly string[] = [...BUILT_IN, 'BackgroundTask'];
  if (known.includes(name) || /^\{\{.+\..+\}\}$/.test(name) || name.includes('.')) return null;
  // FireWorks' old spelling, "Script Task", is still read.
  if (known.includes(name.replaceAll(' ', ''))) return null;
  const near = nearest(name.replaceAll(/[\s_-]/g, ''), known);
  return `'${name}' is no Firetask that workers know${near ? `; did you mean '${near}'?` : ''}. A Firetask of your own is named {{module.Class}}`;
}
