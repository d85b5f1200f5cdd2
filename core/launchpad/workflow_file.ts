/** Workflow files: YAML or JSON, a workflow or a single Firework, as FireWorks' `lpad add` reads them. */
import { readFile } from 'node:fs/promises';
import { codeOf, messageOf, UsageError } from '../errors.ts';
import { type NewWorkflow, newWorkflow } from './add.ts';
import { checkFiretaskName } from './firetask_names.ts';
import { fromJson } from './json.ts';
import { parseYaml } from './settings.ts';
import { type Doc, isDoc } from './values.ts';

/** Reads and checks a workflow file. Throws UsageError that names the file and the place of what is wrong. */
export async function readWorkflowFile(path: string): Promise<NewWorkflow> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') throw new UsageError(`There is no file ${path}`);
    throw new UsageError(`${path} cannot be read: ${messageOf(thrown)}`);
  }
  if (text.trim() === '') throw new UsageError(`${path} is empty. A workflow file has 'fws' and 'links'`);
  const value = path.endsWith('.json') ? json(text, path) : parseYaml(text, path);
  if (!isDoc(value))
    throw new UsageError(
      `${path}: a workflow file is a dictionary with 'fws' and 'links', or one Firework with a 'spec'`,
    );
  return checkWorkflow(value, path);
}

function json(text: string, path: string): unknown {
  try {
    return fromJson(text);
  } catch (thrown) {
    throw new UsageError(`${path} is ${messageOf(thrown)}`);
  }
}

/** Checks a workflow dictionary, Firetask names included. */
export function checkWorkflow(value: Doc, path: string): NewWorkflow {
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
