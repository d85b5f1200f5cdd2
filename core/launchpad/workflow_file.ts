/** Workflow files: YAML or JSON, a workflow or a single Firework, as FireWorks' `lpad add` reads them; archives of such. */
import { readFile } from 'node:fs/promises';
import { Double, Long } from 'bson';
import { codeOf, messageOf, UsageError } from '../errors.ts';
import { type NewWorkflow, newWorkflow } from './add.ts';
import { checkFiretaskName } from './firetask_names.ts';
import { fromJson } from './json.ts';
import { parseYaml } from './settings.ts';
import { type Doc, isDoc } from './values.ts';

export interface ReadWorkflow {
  /** The file, and in an archive which of its files: `all.tar.gz/one.yaml`. */
  source: string;
  workflow: NewWorkflow;
}

/** Reads and checks a workflow file. Throws UsageError that names the file and the place of what is wrong. */
export async function readWorkflowFile(path: string): Promise<NewWorkflow> {
  return workflowOf((await bytesOf(path)).toString('utf8'), path);
}

/** The same for a file that may be an archive (.tar, .tar.gz, .tgz), in which every file is a workflow file. */
export async function readWorkflowFiles(path: string): Promise<ReadWorkflow[]> {
  if (!/\.(tar|tgz|tar\.gz)$/.test(path)) return [{ source: path, workflow: await readWorkflowFile(path) }];
  const bytes = await bytesOf(path);
  const files = await new Bun.Archive(bytes).files().catch((thrown: unknown) => {
    throw new UsageError(`${path} is no tar archive: ${messageOf(thrown)}`);
  });
  const read: ReadWorkflow[] = [];
  for (const [name, file] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const source = `${path}/${name}`;
    // What desktops put beside each file.
    if (/(^|\/)\./.test(name.replace(/^\.\//, ''))) continue;
    if (!/\.(json|ya?ml)$/.test(name))
      throw new UsageError(`${source}: an archive holds nothing but workflow files: .yaml, .yml, .json`);
    read.push({ source, workflow: workflowOf(await file.text(), source) });
  }
  if (read.length === 0) throw new UsageError(`There are no workflow files in ${path}`);
  return read;
}

async function bytesOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') throw new UsageError(`There is no file ${path}`);
    throw new UsageError(`${path} cannot be read: ${messageOf(thrown)}`);
  }
}

function workflowOf(text: string, path: string): NewWorkflow {
  if (text.trim() === '') throw new UsageError(`${path} is empty. A workflow file has 'fws' and 'links'`);
  const value = path.endsWith('.json') ? json(text, path) : typedYaml(text, path);
  if (!isDoc(value))
    throw new UsageError(
      `${path}: a workflow file is a dictionary with 'fws' and 'links', or one Firework with a 'spec'`,
    );
  return checkWorkflow(value, path);
}

const TIME = /^(\d{4}-\d\d-\d\d)(?:[Tt]|[ \t]+)(\d\d:\d\d:\d\d)(\.\d+)?[ \t]*(Z|[+-]\d\d:\d\d)?$/;

/** What Python makes of a time in YAML and FireWorks stores of it: an ISO string. */
const timestamp = {
  tag: 'tag:yaml.org,2002:timestamp',
  default: true,
  test: TIME,
  resolve(text: string): string {
    const [, day, clock, fraction, zone = ''] = TIME.exec(text) ?? [];
    const micros = fraction ? fraction.slice(0, 7).padEnd(7, '0') : '';
    return `${day}T${clock}${micros}${zone === 'Z' ? '+00:00' : zone}`;
  },
};

/** YAML as Python's loader reads it, 1.2: `yes` is a word, 1.0 no integer, and an integer has all its digits. */
export function typedYaml(text: string, path: string): unknown {
  const value = parseYaml(text, path, {
    version: '1.2',
    merge: true,
    intAsBigInt: true,
    customTags: [timestamp],
  });
  return numbersOf(value, path);
}

/** The numbers as `fromJson` has them: integers number, Long beyond 32 bits, floats Double. */
function numbersOf(value: unknown, path: string): unknown {
  if (Array.isArray(value)) return value.map((item) => numbersOf(item, path));
  if (isDoc(value)) {
    for (const [key, inner] of Object.entries(value)) value[key] = numbersOf(inner, path);
    return value;
  }
  if (typeof value === 'number') return new Double(value);
  if (typeof value !== 'bigint') return value;
  if (BigInt.asIntN(32, value) === value) return Number(value);
  if (BigInt.asIntN(64, value) === value) return Long.fromBigInt(value);
  throw new UsageError(`${path}: ${value} is too large: the LaunchPad keeps integers of 64 bits`);
}

function json(text: string, path: string): unknown {
  try {
    return fromJson(text);
  } catch (thrown) {
    throw new UsageError(`${path} is ${messageOf(thrown)}`);
  }
}

/** What a workflow and a Firework may have: an author's keys, and those of a stored document or a dump, which are not used. */
const WORKFLOW_KEYS = ['fws', 'links', 'name', 'metadata', 'created_on', 'updated_on'];
const STORED_WORKFLOW_KEYS = ['parent_links', 'nodes', 'state', 'fw_states'];
const FIREWORK_KEYS = ['spec', 'fw_id', 'name', 'created_on', 'updated_on'];
const STORED_FIREWORK_KEYS = ['state', 'launches', 'archived_launches', 'parents'];

/** Throws UsageError for a key that nobody reads: links under `link` would be lost in silence. */
function checkKeys(value: Doc, path: string): void {
  const check = (dict: unknown, at: string, known: readonly string[], stored: readonly string[]) => {
    // `_id`, and what Python's serializers add (`@module`).
    const odd = Object.keys(isDoc(dict) ? dict : {}).find(
      (key) => !/^[_@]/.test(key) && !known.includes(key) && !stored.includes(key),
    );
    if (odd !== undefined)
      throw new UsageError(`${path}: ${at}${odd}: there is no such key. Known are ${known.join(', ')}`);
  };
  if (!('fws' in value)) return check(value, '', FIREWORK_KEYS, STORED_FIREWORK_KEYS);
  check(value, '', WORKFLOW_KEYS, STORED_WORKFLOW_KEYS);
  for (const [i, firework] of (Array.isArray(value.fws) ? value.fws : []).entries())
    check(firework, `fws[${i}].`, FIREWORK_KEYS, STORED_FIREWORK_KEYS);
}

/** Checks a workflow dictionary, Firetask names included. */
export function checkWorkflow(value: Doc, path: string): NewWorkflow {
  checkKeys(value, path);
  let workflow: NewWorkflow;
  try {
    workflow = newWorkflow(value);
  } catch (thrown) {
    throw new UsageError(`${path}: ${messageOf(thrown)}`);
  }
  const many = 'fws' in value;
  for (const [i, { spec }] of workflow.fireworks.entries()) {
    for (const [t, task] of (spec._tasks as Doc[]).entries()) {
      const wrong = checkFiretaskName(String(task._fw_name));
      if (wrong)
        throw new UsageError(`${path}: ${many ? `fws[${i}].` : ''}spec._tasks[${t}]._fw_name: ${wrong}`);
    }
  }
  return workflow;
}
