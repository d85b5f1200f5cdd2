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
  'DockerTask',
  '{{borealis.docker_task.DockerTask}}',
] as const;

/** Firetasks that Python FireWorks brings and a Python worker runs: a workflow file may name them. */
const PYTHON_BUILT_IN = [
  ...['CommandLineTask', 'TemplateWriterTask', 'BackgroundTask'],
  ...[
    'AddFilesTask',
    'GetFilesTask',
    'GetFilesByQueryTask',
    'DeleteFilesTask',
    'ForeachTask',
    'JoinDictTask',
    'JoinListTask',
    'ImportDataTask',
  ],
];

/**
 * Null when a worker can be expected to know the Firetask; otherwise what to say about it. Names of modules and classes are
 * taken on trust: they are looked up where they run.
 */
export function checkFiretaskName(name: string): string | null {
  const known: readonly string[] = [...BUILT_IN, ...PYTHON_BUILT_IN];
  if (known.includes(name) || /^\{\{.+\..+\}\}$/.test(name) || name.includes('.')) return null;
  // FireWorks' old spelling, "Script Task", is still read.
  if (known.includes(name.replaceAll(' ', ''))) return null;
  const near = nearest(name.replaceAll(/[\s_-]/g, ''), known);
  return `'${name}' is no Firetask that workers know${near ? `; did you mean '${near}'?` : ''}. A Firetask of your own is named {{module.Class}}`;
}
