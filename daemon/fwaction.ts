/** How the actions of several Firetasks become the one of their Firework (`Rocket.run`, `decorate_fwaction`). */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { BorealisError, messageOf } from '../core/errors.ts';
import {
  applyMod,
  type Doc,
  type FWAction,
  fromJson,
  isDoc,
  isoTime,
  newWorkflow,
  parseFWAction,
  parseYaml,
} from '../core/launchpad/index.ts';
import { endsFirework } from '../core/launchpad/model.ts';
import { copy } from '../core/launchpad/values.ts';
import { pythonGlob } from './glob.ts';

/** What a rocket has gathered so far; also the checkpoint that a ping records. */
export interface Gathered {
  storedData: Doc;
  updateSpec: Doc;
  modSpec: Doc[];
}

/** Takes one Firetask's action in: into what is gathered, and into the running spec. True: no Firetask follows. */
export function gather(gathered: Gathered, spec: Doc, action: FWAction): boolean {
  Object.assign(gathered.storedData, action.stored_data);
  Object.assign(gathered.updateSpec, action.update_spec);
  gathered.modSpec.push(...action.mod_spec);
  Object.assign(spec, copy(action.update_spec));
  for (const mod of action.mod_spec) applyMod(copy(mod), spec);
  return endsFirework(action);
}

/** The checkpoint of the Firetask that starts, under Python's names. */
export function checkpointOf(taskIndex: number, gathered: Gathered): Doc {
  return {
    _task_n: taskIndex,
    _all_stored_data: gathered.storedData,
    _all_update_spec: gathered.updateSpec,
    _all_mod_spec: gathered.modSpec,
  };
}

/** The Firework's action: the last Firetask's, with what all of them stored and changed. */
export function finalAction(last: FWAction, gathered: Gathered): FWAction {
  return {
    ...last,
    stored_data: gathered.storedData,
    update_spec: gathered.updateSpec,
    mod_spec: gathered.modSpec,
  };
}

/** What the spec asks to be passed on: `_pass_job_info`, `_preserve_fworker`, `_files_out`. */
export function decorate(
  action: FWAction,
  rocket: { spec: Doc; fwId: number; name: string; launchDir: string; fworkerName: string },
): FWAction {
  const { spec, launchDir } = rocket;
  const decorated = { ...action, update_spec: { ...action.update_spec }, mod_spec: [...action.mod_spec] };
  if (spec._pass_job_info) {
    const before = Array.isArray(spec._job_info) ? [...spec._job_info] : [];
    const own = { fw_id: rocket.fwId, name: rocket.name, launch_dir: launchDir, state: 'RUNNING' };
    const known = before.some((info) => isDeepStrictEqual(info, own));
    decorated.mod_spec.push({ _push_all: { _job_info: known ? before : [...before, own] } });
  }
  if (spec._preserve_fworker) decorated.update_spec._fworker = rocket.fworkerName;
  if (isDoc(spec._files_out)) {
    for (const [key, pattern] of Object.entries(spec._files_out)) {
      const last = pythonGlob(String(pattern), launchDir).at(-1);
      if (last) decorated.mod_spec.push({ _set: { [`_files_prev->${key}`]: last } });
    }
  }
  return decorated;
}

/** An action that a task left as a file in the launch folder, because it is no program that can return one. */
export function actionFile(launchDir: string): FWAction | null {
  const [json, yaml] = [join(launchDir, 'FWAction.json'), join(launchDir, 'FWAction.yaml')];
  if (existsSync(json)) return actionOf(parseJson(json), 'FWAction.json');
  if (existsSync(yaml)) return actionOf(parseYaml(readFileSync(yaml, 'utf8'), yaml), 'FWAction.yaml');
  return null;
}

/** FireWorks makes Workflows of what a file adds, a lone Firework too, and stores those. */
function actionOf(value: unknown, source: string): FWAction {
  const action = parseFWAction(value, source);
  return {
    ...action,
    additions: action.additions.map(workflowDoc),
    detours: action.detours.map(workflowDoc),
    append_wfs: action.append_wfs.map((one) => ({ ...one, workflow: workflowDoc(one.workflow) })),
  };
}

/** `Workflow.to_dict` of a Workflow or Firework dictionary. */
export function workflowDoc(dict: Doc): Doc {
  const { fireworks, links, name, metadata, createdOn } = newWorkflow(dict);
  const now = isoTime();
  const since = createdOn ? isoTime(createdOn) : (fireworks.length === 1 && fireworks[0]?.createdOn) || now;
  return {
    fws: fireworks.map(({ fwId, name, spec, createdOn = now }) => {
      return { spec, fw_id: fwId, created_on: createdOn, updated_on: now, name };
    }),
    links: Object.fromEntries(links),
    name,
    metadata,
    created_on: since,
    updated_on: now,
  };
}

function parseJson(path: string): unknown {
  try {
    return fromJson(readFileSync(path, 'utf8'));
  } catch (thrown) {
    throw new BorealisError(`${path} is ${messageOf(thrown)}`);
  }
}
