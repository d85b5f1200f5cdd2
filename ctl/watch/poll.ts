/** Reading what is watched, with little: of workflows their states, of Fireworks names that are shown. */
import type { Document } from 'mongodb';
import { BorealisError } from '../../core/errors.ts';
import { type Doc, type LaunchPad, numberOf } from '../../core/launchpad/index.ts';
import { endOf, type Seen, seenOf } from './workflow.ts';

const FIELDS = { nodes: { $slice: 1 }, name: 1, state: 1, fw_states: 1, created_on: 1 } as const;

/** Workflows that ended less than this ago are watched too: a short one may be over before `watch` has started. */
const JUST_NOW_MS = 60_000;

/** Which workflows: those of some Fireworks, those that match a query, or all that have not ended. */
export type Choice = { fwIds: number[] } | { query: Doc } | { all: true; since: Date };

/** The _ids of the workflows that the choice means now. Throws BorealisError when an fw_id is in no workflow. */
export async function findWorkflows(launchpad: LaunchPad, choice: Choice): Promise<unknown[]> {
  const { workflows } = launchpad;
  if ('fwIds' in choice) {
    // One question for each workflow, however many of its Fireworks are named.
    const found: unknown[] = [];
    const unknown = new Set(choice.fwIds);
    for (const id of choice.fwIds) {
      if (!unknown.has(id)) continue;
      const workflow = await workflows.findOne({ nodes: id }, { projection: { nodes: 1 } });
      if (!workflow) throw new BorealisError(`No workflow has a Firework with fw_id ${id}`);
      found.push(workflow._id);
      for (const node of workflow.nodes as unknown[]) unknown.delete(numberOf(node));
    }
    return found;
  }
  const ids = async (query: Doc) =>
    (await workflows.find(query as Document, { projection: { _id: 1 } }).toArray()).map(({ _id }) => _id);
  if ('query' in choice) return await ids(choice.query);
  const open = await ids({ state: { $in: ['WAITING', 'READY', 'RESERVED', 'RUNNING', 'PAUSED'] } });
  const since = new Date(choice.since.getTime() - JUST_NOW_MS);
  const recent = await ids({ state: 'COMPLETED', updated_on: { $gte: since } });
  // A FIZZLED or DEFUSED one may still be going in other branches.
  const broken: unknown[] = [];
  const candidates = workflows.find(
    { state: { $in: ['FIZZLED', 'DEFUSED'] } },
    { projection: { ...FIELDS, updated_on: 1 } },
  );
  for await (const doc of candidates) {
    if (doc.updated_on >= since || endOf(seenOf(doc)) === 'going') broken.push(doc._id);
  }
  return [...open, ...recent, ...broken];
}

/** The workflows as they are now, by their _id as text; those that were deleted are missing. */
export async function look(launchpad: LaunchPad, ids: readonly unknown[]): Promise<Map<string, Seen>> {
  const seen = new Map<string, Seen>();
  const found = launchpad.workflows.find({ _id: { $in: ids as never[] } }, { projection: FIELDS });
  for await (const doc of found) seen.set(String(doc._id), seenOf(doc));
  return seen;
}

/** Names of Fireworks, read once each. */
export class Names {
  readonly #known = new Map<number, string>();

  constructor(readonly launchpad: () => LaunchPad) {}

  /** `name--fw_id` of each. */
  async of(ids: readonly number[]): Promise<string[]> {
    const missing = ids.filter((id) => !this.#known.has(id));
    if (missing.length > 0) {
      const found = this.launchpad().fireworks.find(
        { fw_id: { $in: missing } },
        { projection: { fw_id: 1, name: 1, _id: 0 } },
      );
      for await (const doc of found) this.#known.set(numberOf(doc.fw_id), String(doc.name));
    }
    return ids.map((id) => `${this.#known.get(id) ?? 'Firework'}--${id}`);
  }
}

export interface Failure {
  fwId: number;
  name: string;
  /** The last line of the exception, or null when none was recorded. */
  exception: string | null;
}

/** Why the given FIZZLED Fireworks failed, from their last launch. */
export async function failuresOf(launchpad: LaunchPad, fwIds: readonly number[]): Promise<Failure[]> {
  const failures: Failure[] = [];
  for (const fwId of fwIds) {
    const firework = await launchpad.fireworks.findOne(
      { fw_id: fwId },
      { projection: { name: 1, launches: 1 } },
    );
    const launchId = Math.max(-1, ...((firework?.launches ?? []) as unknown[]).map(numberOf));
    const launch = await launchpad.launches.findOne(
      { launch_id: launchId },
      { projection: { 'action.stored_data._exception': 1, 'action.stored_data._message': 1 } },
    );
    const stored = launch?.action?.stored_data;
    const trace = String(stored?._exception?._stacktrace ?? stored?._message ?? '').trim();
    failures.push({
      fwId,
      name: String(firework?.name ?? 'Firework'),
      exception: trace.split('\n').at(-1) || null,
    });
  }
  return failures;
}
