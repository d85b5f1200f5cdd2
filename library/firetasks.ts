/**
 * The Firetasks that workers bring, each as a function of its parameters. Names of parameters are FireWorks', as they stand in
 * a document; a parameter that is left out has the default named beside it. Relative paths are below the launch's own folder.
 * A test proves that these types are what the workers accept (tests/library_types.test.ts).
 */

/** A Firetask as it stands in a spec's `_tasks`: `_fw_name` says which, the other keys are its parameters. */
export interface Firetask {
  readonly _fw_name: string;
  readonly [parameter: string]: unknown;
}

const task = (name: string, params: object): Firetask => ({ _fw_name: name, ...params });

/** A command or a Firetask in a container; inputs come from Cloud Storage, outputs go there. docs/docker-task.md says more. */
export interface DockerTaskParams {
  /** For logs. */
  name: string;
  /** Without a tag: `latest`. */
  image: string;
  /** A list of words, or a command line for the image's shell; with an entrypoint its words are that one's arguments. */
  command?: string | readonly (string | number)[] | null;
  /** An absolute path in the container; every input and output lies below it. */
  internal_prefix: string;
  /** `BUCKET/PATH`: where the same paths are in storage. */
  storage_prefix: string;
  /** Fetched before the command starts. With a `/` at the end a whole tree, else one file. */
  inputs?: readonly string[] | null;
  /** A tree, a file, `>FILE` for what the command prints, `>>FILE` for a log that is stored also when the task fails. */
  outputs?: readonly string[] | null;
  /** Seconds. 3600 when left out. */
  timeout?: number | null;
  /** Whether the registry is asked: always (the default), only when the worker has no such image, or never. */
  pull?: 'always' | 'missing' | 'never';
  /** A Firetask in Python that the image runs, instead of a command. */
  firetask?: Firetask | null;
  /** A file below `internal_prefix` to which the command writes its FWAction, in JSON. */
  fwaction?: string | null;
  /** Environment variables. */
  env?: Readonly<Record<string, string | number | boolean>> | null;
  /** The folder in the container that the command starts in. */
  workdir?: string | null;
  /** Instead of the image's own: words, or a text that is split into words; empty for none. */
  entrypoint?: string | readonly (string | number)[] | null;
  /** The most memory it may have, as `512m` or `2g`; a number is bytes. */
  memory?: number | string | null;
  /** How many CPUs it may use; 0.5 is half of one. */
  cpus?: number | null;
  /** All GPUs of the VM, so many, or these. */
  gpus?: 'all' | number | readonly string[] | null;
  /** The size of /dev/shm, as `memory`. */
  shm_size?: number | string | null;
  /** `none`, `host`, or a network of the Docker Engine. */
  network?: string | null;
  /** How often a command that fails is run again. */
  retries?: number | null;
  /** How often a command that had too little memory is run again with twice as much, alone on its VM. */
  retry_on_oom?: number | null;
  /** Whether outputs of an earlier run with the same image, parameters and inputs will do. */
  cache?: boolean;
}

/** What a DockerTask runs: one of the two. */
type CommandOrFiretask =
  | { command: NonNullable<DockerTaskParams['command']>; firetask?: null }
  | { firetask: Firetask; command?: null };

/**
 * Runs a command, or a Firetask in Python, in a container. It has the name that it has in Python:
 * `{{borealis.docker_task.DockerTask}}`.
 */
export const dockerTask = (params: DockerTaskParams & CommandOrFiretask) =>
  task('{{borealis.docker_task.DockerTask}}', params);

/** Shell commands on the worker itself. */
export interface ScriptTaskParams {
  /** A command line, or several, run one after the other until one fails. */
  script: string | readonly string[];
  /** True when left out. */
  use_shell?: boolean;
  /** `/bin/sh` when left out. */
  shell_exe?: string | null;
  /** A file that the script reads. */
  stdin_file?: string | null;
  /** A key of the spec, whose value the script reads. */
  stdin_key?: string | null;
  /** Keep the output in the LaunchPad: its first 4 MiB. */
  store_stdout?: boolean;
  /** A file to which the output is appended. */
  stdout_file?: string | null;
  store_stderr?: boolean;
  stderr_file?: string | null;
  /** An exit code other than 0 makes the Firework COMPLETED and its children DEFUSED. */
  defuse_bad_rc?: boolean;
  /** An exit code other than 0 makes the Firework FIZZLED. True when left out, unless `defuse_bad_rc`. */
  fizzle_bad_rc?: boolean;
}

/** Runs shell commands. */
export const scriptTask = (
  script: ScriptTaskParams['script'],
  more: Omit<ScriptTaskParams, 'script'> = {},
): Firetask => task('ScriptTask', { script, ...more });

/** A Python function. */
export interface PyTaskParams {
  /** With its module: `math.hypot`. */
  func: string;
  args?: readonly unknown[];
  kwargs?: Readonly<Record<string, unknown>>;
  /** Every further parameter is a keyword argument. */
  auto_kwargs?: false;
  /** The key in the launch's stored data under which the result is kept. */
  stored_data_varname?: string;
  /** Keys of the spec, whose values become further arguments. */
  inputs?: readonly string[];
  /** Keys of the children's specs that get the result. */
  outputs?: readonly string[];
  /** Set by a ForeachTask. */
  chunk_number?: number;
}

/** The same when every further parameter is a keyword argument. */
export interface PyTaskAutoParams extends Omit<PyTaskParams, 'auto_kwargs' | 'kwargs'> {
  auto_kwargs: true;
  [argument: string]: unknown;
}

/** Calls a Python function: `pyTask('math.hypot', { args: [3, 4] })`. */
export const pyTask = (
  func: string,
  more: Omit<PyTaskParams, 'func'> | (Partial<PyTaskAutoParams> & { auto_kwargs: true }) = {},
): Firetask => task('PyTask', { func, ...more });

/** Writes texts to files. */
export interface FileWriteTaskParams {
  files_to_write: readonly { filename: string; contents: string }[];
  /** A folder. */
  dest?: string | null;
}

export const fileWriteTask = (params: FileWriteTaskParams) => task('FileWriteTask', params);

/** Moves or copies files on the worker, or (`rtransfer`) copies them to another machine by SFTP. */
export interface FileTransferTaskParams {
  files: readonly (string | { src: string; dest?: string })[];
  mode: 'move' | 'mv' | 'copy' | 'cp' | 'copy2' | 'copyfile' | 'copytree' | 'rtransfer';
  /** Where a file goes that does not say. */
  dest?: string | null;
  ignore_errors?: boolean;
  /** Whether `~` and `$NAME` in paths mean what they mean to a shell. True when left out. */
  shell_interpret?: boolean;
  /** How often a transfer that failed is tried again. 0 when left out. */
  max_retry?: number;
  /** Seconds between tries. 10 when left out. */
  retry_delay?: number;
  /** For `rtransfer`. */
  server?: string;
  user?: string | null;
  key_filename?: string | null;
}

export const fileTransferTask = (params: FileTransferTaskParams) => task('FileTransferTask', params);

export interface FileDeleteTaskParams {
  files_to_delete: readonly string[];
  /** The folder that they are in. */
  dest?: string | null;
  /** True when left out: a file that is not there is as good as deleted. */
  ignore_errors?: boolean;
}

export const fileDeleteTask = (params: FileDeleteTaskParams) => task('FileDeleteTask', params);

/** Makes one archive of the launch folder. */
export interface ArchiveDirTaskParams {
  /** With its path, without its extension. */
  base_name: string;
  /** `gztar` when left out. */
  format?: 'zip' | 'tar' | 'gztar' | 'bztar' | 'xztar';
}

export const archiveDirTask = (params: ArchiveDirTaskParams) => task('ArchiveDirTask', params);

/** Compresses every file of a folder. */
export interface CompressDirTaskParams {
  /** `gz` when left out. */
  compression?: 'gz' | 'bz2';
  /** The launch folder when left out. */
  dest?: string | null;
  ignore_errors?: boolean;
}

export const compressDirTask = (params: CompressDirTaskParams = {}) => task('CompressDirTask', params);

/** Decompresses every compressed file of a folder. */
export interface DecompressDirTaskParams {
  /** The launch folder when left out. */
  dest?: string | null;
  ignore_errors?: boolean;
}

export const decompressDirTask = (params: DecompressDirTaskParams = {}) => task('DecompressDirTask', params);

/** Fills in a Jinja2 template. */
export interface TemplateWriterTaskParams {
  template_file: string;
  /** The values of its variables. */
  context: Readonly<Record<string, unknown>>;
  output_file: string;
  /** Without effect, as in FireWorks 2.1: the output file is written anew all the same. */
  append?: boolean;
  /** The folder of the template, and of those that it includes. TEMPLATE_DIR of FW_config.yaml when left out. */
  template_dir?: string | null;
}

export const templateWriterTask = (params: TemplateWriterTaskParams) => task('TemplateWriterTask', params);

/** One end of an argument of a CommandLineTask. */
export interface CommandLineEnd {
  type: 'path' | 'data' | 'identifier' | 'stdin' | 'stdout' | 'stderr' | null;
  value?: string | number;
}

/** An argument of a CommandLineTask; a text stands for the value of that key of the spec. */
export interface CommandLineArgument {
  binding?: { prefix?: string; separator?: string } | string;
  source?: CommandLineEnd | string;
  target?: CommandLineEnd | string;
}

/** A command whose arguments come from the spec and whose results go there. */
export interface CommandLineTaskParams {
  /** The words of `command`, and for each label of `inputs` and `outputs` what it means. */
  command_spec: { command: readonly string[] } & {
    readonly [label: string]: CommandLineArgument | string | readonly string[];
  };
  inputs?: readonly string[] | null;
  outputs?: readonly string[] | null;
  /** Set by a ForeachTask. */
  chunk_number?: number | null;
}

export const commandLineTask = (params: CommandLineTaskParams) => task('CommandLineTask', params);

/** Adds a Firework for each item of a list in the spec, or for each part of it. */
export interface ForeachTaskParams {
  /** Has the list among its `inputs`. */
  task: Firetask;
  /** The key of the list. */
  split: string;
  'number of chunks'?: number | null;
}

export const foreachTask = (params: ForeachTaskParams) => task('ForeachTask', params);

/** Puts values of the spec together in a dictionary. */
export interface JoinDictTaskParams {
  inputs: readonly string[];
  output: string;
  /** Other names for inputs. */
  rename?: Readonly<Record<string, string>> | null;
}

export const joinDictTask = (params: JoinDictTaskParams) => task('JoinDictTask', params);

/** Puts values of the spec together in a list. */
export interface JoinListTaskParams {
  inputs: readonly string[];
  output: string;
}

export const joinListTask = (params: JoinListTaskParams) => task('JoinListTask', params);

/** Reads a JSON or YAML file into the spec. */
export interface ImportDataTaskParams {
  filename: string;
  /** `a/b/c`: the place in the spec. */
  mapstring: string;
}

export const importDataTask = (params: ImportDataTaskParams) => task('ImportDataTask', params);

/** Puts files into a FilePad. */
export interface AddFilesTaskParams {
  /** Files, or one pattern. */
  paths: string | readonly string[];
  /** One for each file; their paths when left out. */
  identifiers?: readonly string[] | null;
  /** Where the pattern looks. */
  directory?: string | null;
  filepad_file?: string | null;
  /** True when left out. */
  compress?: boolean;
  metadata?: Readonly<Record<string, unknown>> | null;
}

export const addFilesTask = (params: AddFilesTaskParams) => task('AddFilesTask', params);

/** Takes files out of a FilePad. */
export interface GetFilesTaskParams {
  identifiers: readonly string[];
  filepad_file?: string | null;
  dest_dir?: string | null;
  new_file_names?: readonly string[] | null;
}

export const getFilesTask = (params: GetFilesTaskParams) => task('GetFilesTask', params);

/** Takes the files out of a FilePad that a query finds. */
export interface GetFilesByQueryTaskParams {
  /** With `->` between nested keys. */
  query: Readonly<Record<string, unknown>>;
  dest_dir?: string | null;
  filepad_file?: string | null;
  /** True when left out. */
  fizzle_degenerate_file_name?: boolean;
  /** True when left out. */
  fizzle_empty_result?: boolean;
  limit?: number | null;
  meta_file?: boolean;
  meta_file_suffix?: string;
  new_file_names?: readonly string[] | null;
  sort_direction?: 1 | -1;
  sort_key?: string | null;
}

export const getFilesByQueryTask = (params: GetFilesByQueryTaskParams) => task('GetFilesByQueryTask', params);

/** Deletes files from a FilePad. */
export interface DeleteFilesTaskParams {
  identifiers: readonly string[];
  filepad_file?: string | null;
}

export const deleteFilesTask = (params: DeleteFilesTaskParams) => task('DeleteFilesTask', params);

/** A Firetask of your own: `ownTask('{{my_package.tasks.Simulate}}', { seed: 7 })`. The worker's Python must have it. */
export const ownTask = (name: `${string}.${string}`, params: Readonly<Record<string, unknown>> = {}) =>
  task(name, params);
