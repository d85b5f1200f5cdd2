/**
 * The library's types are what they promise: the parameters of its Firetasks are those that workers and Python FireWorks
 * accept, and programs that are wrong do not compile (`tsc` reads the lines that expect an error).
 */
import { expect, test } from 'bun:test';
import * as library from 'borealis';
import { Firework, Fleet, LaunchPad, Workflow } from 'borealis';
import type { z } from 'zod';
import type { UsageError } from '../core/errors.ts';
import { checkLaunchPadKeys } from '../core/launchpad/index.ts';
import type { params as addFiles } from '../daemon/firetasks/add_files.ts';
import type { params as archiveDir } from '../daemon/firetasks/archive_dir.ts';
import type { params as commandLine } from '../daemon/firetasks/command_line.ts';
import type { params as compressDir } from '../daemon/firetasks/compress_dir.ts';
import type { params as decompressDir } from '../daemon/firetasks/decompress_dir.ts';
import type { params as deleteFiles } from '../daemon/firetasks/delete_files.ts';
import type { dockerTaskParams as docker } from '../daemon/firetasks/docker_params.ts';
import type { params as fileDelete } from '../daemon/firetasks/file_delete.ts';
import type { params as fileTransfer } from '../daemon/firetasks/file_transfer.ts';
import type { params as fileWrite } from '../daemon/firetasks/file_write.ts';
import type { params as foreach } from '../daemon/firetasks/foreach.ts';
import type { params as getFiles } from '../daemon/firetasks/get_files.ts';
import type { params as getFilesByQuery } from '../daemon/firetasks/get_files_by_query.ts';
import type { params as importData } from '../daemon/firetasks/import_data.ts';
import type { params as joinDict } from '../daemon/firetasks/join_dict.ts';
import type { params as joinList } from '../daemon/firetasks/join_list.ts';
import type { params as script } from '../daemon/firetasks/script.ts';
import type { params as templateWriter } from '../daemon/firetasks/template_writer.ts';

/** A type with keys of its own only, with nothing that can be written to, and booleans where Python's truths are accepted. */
type Told<T> = T extends readonly (infer Item)[]
  ? readonly Told<Item>[]
  : T extends object
    ? { readonly [K in keyof T as string extends K ? never : K]: Truth<Told<T[K]>> }
    : T;
type Truth<T> = boolean extends T ? (number extends T ? Exclude<T, number | null> : T) : T;

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : { library: A; worker: B };
type Accepts<Library, Schema extends z.ZodType> = Same<Told<Library>, Told<z.input<Schema>>>;

/** An entry that is not `true` does not compile, and shows both types. */
const SAME_AS_THE_WORKERS: {
  archiveDirTask: Accepts<library.ArchiveDirTaskParams, typeof archiveDir>;
  compressDirTask: Accepts<library.CompressDirTaskParams, typeof compressDir>;
  decompressDirTask: Accepts<library.DecompressDirTaskParams, typeof decompressDir>;
  /** `firetask` is any Firetask. */
  dockerTask: Same<
    Told<Omit<library.DockerTaskParams, 'firetask'>>,
    Told<Omit<Told<z.input<typeof docker>>, 'firetask'>>
  >;
  fileDeleteTask: Accepts<library.FileDeleteTaskParams, typeof fileDelete>;
  /** `mode` is one of a list. */
  fileTransferTask: Same<
    Told<Omit<library.FileTransferTaskParams, 'mode'>>,
    Told<Omit<Told<z.input<typeof fileTransfer>>, 'mode'>>
  >;
  fileWriteTask: Accepts<library.FileWriteTaskParams, typeof fileWrite>;
  scriptTask: Accepts<library.ScriptTaskParams, typeof script>;
  addFilesTask: Accepts<library.AddFilesTaskParams, typeof addFiles>;
  /** What an argument may be is checked when it is used. */
  commandLineTask: Same<
    Told<Omit<library.CommandLineTaskParams, 'command_spec'>>,
    Told<Omit<Told<z.input<typeof commandLine>>, 'command_spec'>>
  >;
  deleteFilesTask: Accepts<library.DeleteFilesTaskParams, typeof deleteFiles>;
  /** `task` is any Firetask. */
  foreachTask: Same<
    Told<Omit<library.ForeachTaskParams, 'task'>>,
    Told<Omit<Told<z.input<typeof foreach>>, 'task'>>
  >;
  getFilesTask: Accepts<library.GetFilesTaskParams, typeof getFiles>;
  getFilesByQueryTask: Accepts<library.GetFilesByQueryTaskParams, typeof getFilesByQuery>;
  importDataTask: Accepts<library.ImportDataTaskParams, typeof importData>;
  joinDictTask: Accepts<library.JoinDictTaskParams, typeof joinDict>;
  joinListTask: Accepts<library.JoinListTaskParams, typeof joinList>;
  templateWriterTask: Accepts<library.TemplateWriterTaskParams, typeof templateWriter>;
} = {
  archiveDirTask: true,
  compressDirTask: true,
  decompressDirTask: true,
  dockerTask: true,
  fileDeleteTask: true,
  fileTransferTask: true,
  fileWriteTask: true,
  scriptTask: true,
  addFilesTask: true,
  commandLineTask: true,
  deleteFilesTask: true,
  foreachTask: true,
  getFilesTask: true,
  getFilesByQueryTask: true,
  importDataTask: true,
  joinDictTask: true,
  joinListTask: true,
  templateWriterTask: true,
};

test('every Firetask that a worker runs by itself has a type that is compared with it', () => {
  const others = ['pyTask', 'ownTask'];
  const functions = Object.keys(library).filter((name) => name.endsWith('Task'));
  expect(functions.sort()).toEqual([...Object.keys(SAME_AS_THE_WORKERS), ...others].sort());
});

type Needed<T> = { [K in keyof T]-?: undefined extends T[K] ? 'optional' : 'required' };

/** Each parameter once: a type that has others does not compile. */
const PARAMETERS: {
  FileWriteTask: Needed<library.FileWriteTaskParams>;
  FileDeleteTask: Needed<library.FileDeleteTaskParams>;
  FileTransferTask: Needed<library.FileTransferTaskParams>;
  CompressDirTask: Needed<library.CompressDirTaskParams>;
  DecompressDirTask: Needed<library.DecompressDirTaskParams>;
  ArchiveDirTask: Needed<library.ArchiveDirTaskParams>;
  PyTask: Needed<library.PyTaskParams>;
  CommandLineTask: Needed<library.CommandLineTaskParams>;
  ForeachTask: Needed<library.ForeachTaskParams>;
  JoinDictTask: Needed<library.JoinDictTaskParams>;
  JoinListTask: Needed<library.JoinListTaskParams>;
  ImportDataTask: Needed<library.ImportDataTaskParams>;
  AddFilesTask: Needed<library.AddFilesTaskParams>;
  GetFilesTask: Needed<library.GetFilesTaskParams>;
  GetFilesByQueryTask: Needed<library.GetFilesByQueryTaskParams>;
  DeleteFilesTask: Needed<library.DeleteFilesTaskParams>;
} = {
  FileWriteTask: { files_to_write: 'required', dest: 'optional' },
  FileDeleteTask: { files_to_delete: 'required', dest: 'optional', ignore_errors: 'optional' },
  FileTransferTask: {
    files: 'required',
    mode: 'required',
    dest: 'optional',
    ignore_errors: 'optional',
    shell_interpret: 'optional',
    max_retry: 'optional',
    retry_delay: 'optional',
    server: 'optional',
    user: 'optional',
    key_filename: 'optional',
  },
  CompressDirTask: { compression: 'optional', dest: 'optional', ignore_errors: 'optional' },
  DecompressDirTask: { dest: 'optional', ignore_errors: 'optional' },
  ArchiveDirTask: { base_name: 'required', format: 'optional' },
  PyTask: {
    func: 'required',
    args: 'optional',
    kwargs: 'optional',
    auto_kwargs: 'optional',
    stored_data_varname: 'optional',
    inputs: 'optional',
    outputs: 'optional',
    chunk_number: 'optional',
  },
  CommandLineTask: {
    command_spec: 'required',
    inputs: 'optional',
    outputs: 'optional',
    chunk_number: 'optional',
  },
  ForeachTask: { task: 'required', split: 'required', 'number of chunks': 'optional' },
  JoinDictTask: { inputs: 'required', output: 'required', rename: 'optional' },
  JoinListTask: { inputs: 'required', output: 'required' },
  ImportDataTask: { filename: 'required', mapstring: 'required' },
  AddFilesTask: {
    paths: 'required',
    identifiers: 'optional',
    directory: 'optional',
    filepad_file: 'optional',
    compress: 'optional',
    metadata: 'optional',
  },
  GetFilesTask: {
    identifiers: 'required',
    filepad_file: 'optional',
    dest_dir: 'optional',
    new_file_names: 'optional',
  },
  GetFilesByQueryTask: {
    query: 'required',
    dest_dir: 'optional',
    filepad_file: 'optional',
    fizzle_degenerate_file_name: 'optional',
    fizzle_empty_result: 'optional',
    limit: 'optional',
    meta_file: 'optional',
    meta_file_suffix: 'optional',
    new_file_names: 'optional',
    sort_direction: 'optional',
    sort_key: 'optional',
  },
  DeleteFilesTask: { identifiers: 'required', filepad_file: 'optional' },
};

/** Ours alone: FireWorks 2.1 takes paths as they are there. */
const NOT_IN_PYTHON = { FileTransferTask: ['shell_interpret'] } as Record<string, string[]>;

const ASK = `
import importlib, json, pkgutil
import fireworks.user_objects.firetasks as package
from fireworks import FiretaskBase
for module in pkgutil.iter_modules(package.__path__):
    if "test" not in module.name:
        importlib.import_module(package.__name__ + "." + module.name)
print(json.dumps({
    task._fw_name: {
        "required": task.required_params or [],
        "optional": task.optional_params or getattr(task, "other_params", None),
    }
    for task in FiretaskBase.__subclasses__() if hasattr(task, "_fw_name")
}))`;

const python = process.env.BOREALIS_PYTHON;
test.skipIf(!python)(
  `Python's Firetasks have these parameters${python ? '' : ' (skipped: BOREALIS_PYTHON names no Python)'}`,
  async () => {
    const child = Bun.spawn([python as string, '-W', 'ignore', '-c', ASK], { stderr: 'inherit' });
    const theirs = JSON.parse(await new Response(child.stdout).text());
    for (const [name, own] of Object.entries(PARAMETERS)) {
      const known = Object.entries(own).filter(([key]) => !NOT_IN_PYTHON[name]?.includes(key));
      const which = (need: string) => known.flatMap(([key, needed]) => (needed === need ? [key] : [])).sort();
      expect({ name, required: which('required'), optional: which('optional') }).toEqual({
        name,
        required: theirs[name].required.sort(),
        optional: (theirs[name].optional ?? []).sort(),
      });
    }
  },
);

const LAUNCHPAD_KEYS: Needed<library.LaunchPadKeys> = {
  host: 'optional',
  port: 'optional',
  name: 'optional',
  username: 'optional',
  password: 'optional',
  authsource: 'optional',
  uri_mode: 'optional',
  mongoclient_kwargs: 'optional',
  ssl: 'optional',
  ssl_ca_certs: 'optional',
  ssl_certfile: 'optional',
  ssl_keyfile: 'optional',
  ssl_pem_passphrase: 'optional',
};

test('the keys of a LaunchPad are those of its file, but for what only logs, indexes and workers read', () => {
  const known = (() => {
    try {
      checkLaunchPadKeys({ nonsense: 1 }, 'test');
    } catch (thrown) {
      return (thrown as UsageError).message.replace(/.*Known keys: /, '').split(', ');
    }
    return [];
  })();
  const others = [
    'logdir',
    'strm_lvl',
    'user_indices',
    'wf_user_indices',
    'idle_for_rockets',
    'idle_for_waiters',
  ];
  expect(known.sort()).toEqual([...Object.keys(LAUNCHPAD_KEYS), ...others].sort());
});

/** Never called: each line below an expectation must be refused by the compiler. */
async function wrongPrograms(launchpad: LaunchPad): Promise<void> {
  const docker = { name: 'a', image: 'b', command: 'c', internal_prefix: '/d', storage_prefix: 'e' };
  library.dockerTask({ ...docker, timeout: 60, pull: 'missing' });
  // @ts-expect-error: no image
  library.dockerTask({ name: 'a', command: 'c', internal_prefix: '/d', storage_prefix: 'e' });
  // @ts-expect-error: nothing to run
  library.dockerTask({ name: 'a', image: 'b', internal_prefix: '/d', storage_prefix: 'e' });
  // @ts-expect-error: two things to run
  library.dockerTask({ ...docker, firetask: library.pyTask('math.hypot') });
  // @ts-expect-error: a misspelt parameter
  library.dockerTask({ ...docker, ouputs: ['/d/out/'] });
  // @ts-expect-error: seconds are a number
  library.dockerTask({ ...docker, timeout: '60' });
  // @ts-expect-error: no such wish
  library.dockerTask({ ...docker, pull: 'sometimes' });
  library.scriptTask(['true', 'date'], { store_stdout: true });
  // @ts-expect-error: FireWorks spells it use_shell
  library.scriptTask('date', { shell: true });
  // @ts-expect-error: a command line is a text
  library.scriptTask(7);
  library.pyTask('math.hypot', { args: [3, 4], stored_data_varname: 'length' });
  library.pyTask('my.function', { auto_kwargs: true, speed: 3 });
  // @ts-expect-error: without auto_kwargs there are no other parameters
  library.pyTask('my.function', { speed: 3 });
  // @ts-expect-error: no such mode
  library.fileTransferTask({ files: ['a'], mode: 'teleport', dest: 'b' });
  // @ts-expect-error: no such format
  library.archiveDirTask({ base_name: 'all', format: 'rar' });
  library.ownTask('{{my_package.Simulate}}', { anything: 1 });
  // @ts-expect-error: a Firetask of one's own has a module; the others have functions with types
  library.ownTask('ScriptTask', { script: 'date' });
  const task = library.scriptTask('date');
  // @ts-expect-error: a priority is a number
  new Firework(task, { spec: { _priority: 'high' } });
  // @ts-expect-error: tasks are the first argument
  new Firework(task, { spec: { _tasks: [task] } });
  // @ts-expect-error: a parent is a Firework, not its id
  new Firework(task, { parents: [1] });
  // @ts-expect-error: a workflow is made of Fireworks
  new Workflow([task]);
  // @ts-expect-error: it cannot be changed later, which is why no cycle can be built
  new Firework(task).parents = [];
  // @ts-expect-error: a document is no workflow yet: Workflow.fromFile checks files
  await launchpad.add({ fws: [], links: {} });
  // @ts-expect-error: the key is `name`
  await LaunchPad.connect({ database: 'fireworks' });
  // @ts-expect-error: how many?
  await Fleet.up({ prefix: 'demo' });
  // @ts-expect-error: gcloud has no such option
  await Fleet.up({ count: 1, options: { 'machine-typ': 'n2-standard-4' } });
  // @ts-expect-error: such a state does not exist
  for await (const { state } of launchpad.watch(1)) if (state === 'DONE') return;
}
void wrongPrograms;
