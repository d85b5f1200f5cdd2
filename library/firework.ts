/** A Firework as a program builds it: Firetasks, the spec that they share, and the Fireworks that it waits for. */
import { BorealisError } from '../core/errors.ts';
import { checkFiretaskName } from '../core/launchpad/firetask_names.ts';
import { isDoc } from '../core/launchpad/values.ts';
import type { Firetask } from './firetasks.ts';

/** What the Firetasks of a Firework share. Keys that begin with `_` are FireWorks' own; the others are yours. */
export interface Spec {
  /** Higher goes first. */
  _priority?: number;
  /** Only the worker of this name may take it. */
  _fworker?: string;
  /** Only workers of this category may take it. */
  _category?: string;
  /** Starts also when parents are FIZZLED. */
  _allow_fizzled_parents?: boolean;
  /** The folder to run in, instead of one of its own. */
  _launch_dir?: string;
  /** Children run on the same worker. */
  _preserve_fworker?: boolean;
  /** Children learn the folders of their parents, as `_job_info`. */
  _pass_job_info?: boolean;
  /** Label and file name: files for the children, on workers that share a disk. */
  _files_out?: Readonly<Record<string, string>>;
  /** Label and file name: files that parents left. */
  _files_in?: Readonly<Record<string, string>>;
  /** Files whose last lines are kept in the LaunchPad while it runs. */
  _trackers?: readonly { filename: string; nlines?: number; allow_zipped?: boolean }[];
  /** Takes the result of an equal Firework that ran already: `{ _fw_name: 'DupeFinderExact' }`. */
  _dupefinder?: { _fw_name: string };
  /** The Firetasks are the first argument of `new Firework`. */
  _tasks?: never;
  [key: string]: unknown;
}

export interface FireworkOptions {
  /** `Unnamed FW` when left out, as in FireWorks. */
  name?: string;
  spec?: Readonly<Spec>;
  /** Those that must be COMPLETED before it starts. */
  parents?: Firework | readonly Firework[];
}

/**
 * Firetasks that run one after the other in one folder on one worker. It does not change once it is made, and what was given
 * is copied: as a parent is there before its child, no cycle can be built.
 */
export class Firework {
  readonly name: string;
  /** As it will be stored, with the Firetasks in `_tasks`. */
  readonly spec: { readonly _tasks: readonly Firetask[]; readonly [key: string]: unknown };
  readonly parents: readonly Firework[];

  /** Throws BorealisError that names the Firework and the place of what no worker knows or no document can hold. */
  constructor(tasks: Firetask | readonly Firetask[], o: FireworkOptions = {}) {
    this.name = o.name ?? 'Unnamed FW';
    const list: readonly Firetask[] =
      'length' in tasks ? (tasks as readonly Firetask[]) : [tasks as Firetask];
    const at = `Firework '${this.name}'`;
    if (list.length === 0) throw new BorealisError(`${at}: it needs at least one Firetask`);
    for (const [i, task] of list.entries()) {
      const wrong = checkFiretaskName(String(task?._fw_name));
      if (wrong) throw new BorealisError(`${at}: spec._tasks[${i}]._fw_name: ${wrong}`);
    }
    this.spec = stored({ ...o.spec, _tasks: list }, `${at}: spec`) as Firework['spec'];
    const parents = o.parents ?? [];
    this.parents = parents instanceof Firework ? [parents] : [...new Set(parents)];
    const stranger = this.parents.findIndex((parent) => !(parent instanceof Firework));
    if (stranger >= 0) throw new BorealisError(`${at}: parents[${stranger}] is no Firework`);
    Object.freeze(this);
  }
}

/**
 * A copy of what a document will hold: a date becomes the text that FireWorks stores, what is undefined is left out. Throws
 * BorealisError with the place of what no document can hold.
 */
export function stored(value: unknown, at: string, holders: readonly unknown[] = []): unknown {
  const refuse = (what: string): never => {
    throw new BorealisError(
      `${at} ${what}: a document holds texts, numbers, booleans, null, lists and dictionaries`,
    );
  };
  if (value === null || ['string', 'number', 'boolean', 'bigint'].includes(typeof value)) return value;
  if (value instanceof Date) return value.toISOString().replace('Z', '');
  if (typeof value !== 'object') return refuse(`is a ${typeof value}`);
  // A number of BSON's own, from a file.
  if ('_bsontype' in value) return value;
  if (holders.includes(value)) return refuse('holds itself');
  const inside = [...holders, value];
  if (Array.isArray(value)) return value.map((item, i) => stored(item ?? null, `${at}[${i}]`, inside));
  if (!isDoc(value) || ![Object.prototype, null].includes(Object.getPrototypeOf(value)))
    return refuse(`is a ${value.constructor.name}`);
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries.map(([key, inner]) => [key, stored(inner, `${at}.${key}`, inside)]));
}
