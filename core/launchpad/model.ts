/** The documents of a LaunchPad, as Python FireWorks 2.1 writes them (fireworks/core/firework.py, `to_db_dict`). */
import type { ObjectId } from 'bson';
import * as z from 'zod';
import { BorealisError } from '../errors.ts';
import { toJson } from './json.ts';
import { type Doc, isDoc } from './values.ts';

export const STATES = [
  'ARCHIVED',
  'FIZZLED',
  'DEFUSED',
  'PAUSED',
  'WAITING',
  'READY',
  'RESERVED',
  'RUNNING',
  'COMPLETED',
] as const;

export type State = (typeof STATES)[number];

/** How states rank: the launch of the highest rank speaks for its Firework (`Firework.STATE_RANKS`). */
export const RANK: Record<State, number> = {
  ARCHIVED: -2,
  FIZZLED: -1,
  DEFUSED: 0,
  PAUSED: 0,
  WAITING: 1,
  READY: 2,
  RESERVED: 3,
  RUNNING: 4,
  COMPLETED: 5,
};

/** A document of `fireworks`. Dates are ISO strings with microseconds; `launches` are launch ids. */
export interface FireworkDoc {
  _id?: ObjectId;
  spec: Doc & { _tasks: Doc[] };
  fw_id: number;
  created_on: string;
  updated_on: string;
  launches: number[];
  archived_launches: number[];
  state: State;
  name: string;
}

export interface HistoryEntry {
  state: State;
  created_on: string;
  updated_on?: string;
  checkpoint?: Doc;
  reservation_id?: string;
}

/** A document of `launches`. */
export interface LaunchDoc {
  _id?: ObjectId;
  fworker: Doc;
  fw_id: number;
  launch_dir: string;
  host: string;
  ip: string;
  trackers: Doc[];
  action: Doc | null;
  state: State;
  state_history: HistoryEntry[];
  launch_id: number;
  time_start: string | null;
  time_end: string | null;
  runtime_secs: number | null;
}

/** A document of `workflows`. Keys are fw_ids as strings, values numbers; dates are BSON dates. */
export interface WorkflowDoc {
  _id?: ObjectId;
  links: Record<string, number[]>;
  parent_links: Record<string, number[]>;
  nodes: number[];
  metadata: Doc;
  state: State;
  name: string;
  created_on: Date;
  updated_on: Date;
  fw_states: Record<string, State>;
  locked?: boolean;
}

/** A worker's identity. `query` narrows what it takes, `category` too; `env` reaches its Firetasks as `_fw_env`. */
export interface FWorker {
  name: string;
  category: string | string[];
  query: Doc;
  env: Doc;
  /** What it can take just now, beside: no part of its identity, and not stored with its launches. */
  only?: Doc;
}

/** `FWorker.to_dict`: the query is a JSON string, for MongoDB refuses keys that begin with `$`. */
export function fworkerDoc(fworker: FWorker): Doc {
  return {
    name: fworker.name,
    category: fworker.category,
    query: toJson(fworker.query),
    env: fworker.env,
  };
}

/** The query of a worker's checkout: its own, and its category (`FWorker.query`; `__none__`: only what has none). */
export function fworkerQuery(fworker: FWorker): Doc {
  const { category } = fworker;
  const query: Doc = { ...fworker.query };
  const added: Doc[] = [];
  // A worker's own name in _fworker (a parent's _preserve_fworker) binds the Firework to it.
  added.push({
    $or: [
      { 'spec._fworker': { $exists: false } },
      { 'spec._fworker': null },
      { 'spec._fworker': fworker.name },
    ],
  });
  if (category === '__none__') added.push({ 'spec._category': { $exists: false } });
  else if (Array.isArray(category)) added.push({ 'spec._category': { $in: category } });
  else if (category) added.push({ 'spec._category': category });
  if (fworker.only) added.push(fworker.only);
  const and = Array.isArray(query.$and) ? (query.$and as Doc[]) : [];
  return { ...query, $and: [...and, ...added] };
}

/** What a Firetask gives back (`FWAction.to_dict`). Additions and detours are Workflow or Firework dictionaries. */
export interface FWAction {
  stored_data: Doc;
  exit: boolean;
  update_spec: Doc;
  mod_spec: Doc[];
  additions: Doc[];
  detours: Doc[];
  append_wfs: { workflow: Doc; parents: number[]; detour: boolean }[];
  defuse_children: boolean;
  defuse_workflow: boolean;
  propagate: boolean;
}

/** An FWAction in which everything not given is empty. */
export function fwAction(part: Partial<FWAction> = {}): FWAction {
  return {
    stored_data: {},
    exit: false,
    update_spec: {},
    mod_spec: [],
    additions: [],
    detours: [],
    append_wfs: [],
    defuse_children: false,
    defuse_workflow: false,
    propagate: false,
    ...part,
  };
}

/** The action of a Firework that failed (in this Firetask, null: in none of them), as Python records it. */
export function failure(task: Doc | null, stacktrace: string, details: unknown): FWAction {
  return fwAction({
    stored_data: {
      _message: 'runtime error during task',
      _task: task,
      _exception: { _stacktrace: stacktrace, _details: details },
    },
    exit: true,
  });
}

const doc = z.custom<Doc>(isDoc, 'must be a dictionary');
const one = <T extends z.ZodType>(item: T) =>
  z.preprocess((value) => (isDoc(value) ? [value] : (value ?? [])), z.array(item));

const actionSchema = z.object({
  stored_data: doc.nullish().transform((value) => value ?? {}),
  exit: z.boolean().default(false),
  update_spec: doc.nullish().transform((value) => value ?? {}),
  mod_spec: one(doc),
  additions: one(doc),
  detours: one(doc),
  append_wfs: one(
    z.object({
      workflow: doc,
      parents: z.array(z.coerce.number().int()).default([]),
      detour: z.boolean().default(false),
    }),
  ),
  defuse_children: z.boolean().default(false),
  defuse_workflow: z.boolean().default(false),
  propagate: z.boolean().default(false),
});

/** Checks a dictionary that should be an FWAction. `source` names where it came from in the error. */
export function parseFWAction(value: unknown, source = 'FWAction'): FWAction {
  const unknown = isDoc(value)
    ? Object.keys(value).find((key) => !(key in actionSchema.shape) && !key.startsWith('_'))
    : undefined;
  if (unknown)
    throw new BorealisError(
      `${source}: unknown key '${unknown}'. An FWAction has: ${Object.keys(actionSchema.shape).join(', ')}`,
    );
  const parsed = actionSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new BorealisError(`${source}: ${issue?.path.join('.') || 'it'} ${issue?.message}`);
}

/** True when the action changes the specs of its Firework's children. */
export function changesSpecs(action: FWAction): boolean {
  return Object.keys(action.update_spec).length > 0 || action.mod_spec.length > 0;
}

/** True when nothing in the workflow changes by the action: it only stores data, or leaves Firetasks out. */
export function changesNothing(action: FWAction): boolean {
  return !changesSpecs(action) && !endsFirework({ ...action, exit: false });
}

/** True when the action ends its Firework: no later Firetask runs (`FWAction.skip_remaining_tasks`). */
export function endsFirework(action: FWAction): boolean {
  const grows = action.detours.length + action.additions.length + action.append_wfs.length > 0;
  return action.exit || grows || action.defuse_children || action.defuse_workflow;
}
