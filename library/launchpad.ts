/** The LaunchPad for programs: adding workflows, following them, asking about them, and changing their course. */
import type { Document } from 'mongodb';
import { BorealisError } from '../core/errors.ts';
import {
  addWorkflows,
  appendWorkflow,
  LaunchPad as Connection,
  control,
  type Deleted,
  type Doc,
  isDoc,
  launchPadSettings,
  loadLaunchPadSettings,
  newWorkflow,
  numberOf,
  plainDoc,
  type RerunOptions,
  rerun,
  type State,
  TYPED,
  timeOf,
  typed,
} from '../core/launchpad/index.ts';
import { storedAction } from '../core/launchpad/stored_action.ts';
import { type Failure, failuresOf } from '../ctl/watch/poll.ts';
import { Firework } from './firework.ts';
import { type Progress, type WatchOptions, watchWorkflows } from './progress.ts';
import { Workflow } from './workflow.ts';

/** The keys of a LaunchPad file, `my_launchpad.yaml`. */
export interface LaunchPadKeys {
  /** `localhost` when left out. With `uri_mode` the whole connection string: `mongodb+srv://...`. */
  host?: string | null;
  /** 27017 when left out. */
  port?: number | null;
  /** The database. `fireworks` when left out. */
  name?: string | null;
  username?: string | null;
  password?: string | null;
  /** The database that knows the user; `name` when left out. */
  authsource?: string | null;
  uri_mode?: boolean | null;
  /** Further options of the connection, under pymongo's names. */
  mongoclient_kwargs?: Readonly<Record<string, unknown>> | null;
  ssl?: boolean | null;
  ssl_ca_certs?: string | null;
  ssl_certfile?: string | null;
  ssl_keyfile?: string | null;
  ssl_pem_passphrase?: string | null;
}

export interface ConnectOptions {
  /** How long to look for the server before giving up, in milliseconds. 10,000 when left out. */
  timeoutMs?: number;
}

/** A launch: one run of a Firework on a worker. */
export interface Launch {
  launchId: number;
  state: State;
  /** The worker's name. */
  worker: string;
  host: string;
  launchDir: string;
  startedAt: Date | null;
  endedAt: Date | null;
  /** What its Firetasks stored, with `_exception` where one failed. Empty until it ends. */
  storedData: Record<string, unknown>;
}

/** A Firework as it is in the LaunchPad. */
export interface StoredFirework {
  fwId: number;
  name: string;
  state: State;
  spec: Record<string, unknown>;
  createdOn: Date | null;
  updatedOn: Date | null;
  /** The oldest first; those from before a rerun are not among them. */
  launches: Launch[];
}

/** A workflow as it is in the LaunchPad. */
export interface StoredWorkflow {
  name: string;
  state: State;
  metadata: Record<string, unknown>;
  /** The state of each of its Fireworks, by id. */
  states: Map<number, State>;
  /** The children of each of its Fireworks. */
  children: Map<number, number[]>;
  createdOn: Date | null;
  updatedOn: Date | null;
}

/**
 * A connection to a LaunchPad. Ids are those that the LaunchPad gave; a workflow is named by the id of any of its Fireworks.
 * Unless it says otherwise, a method throws BorealisError when there is no such Firework or workflow.
 *
 *     await using launchpad = await LaunchPad.connect();
 */
export class LaunchPad implements AsyncDisposable {
  readonly #pad: Connection;

  private constructor(pad: Connection) {
    this.#pad = pad;
  }

  /**
   * Connects to the LaunchPad of a file or of such a file's keys; without either, to that of the file that `lpad` finds.
   * Throws UsageError for a bad file or key, BorealisError that says where it looked when nobody answers.
   */
  static async connect(from?: string | LaunchPadKeys, o: ConnectOptions = {}): Promise<LaunchPad> {
    const settings =
      typeof from === 'object'
        ? launchPadSettings({ ...from }, 'LaunchPad.connect')
        : loadLaunchPadSettings(from);
    return new LaunchPad(
      await Connection.open(settings, { appName: 'borealis', serverSelectionTimeoutMs: o.timeoutMs }),
    );
  }

  /** Where its workers must connect to, and as whom. Holds the password. */
  get settings(): Connection['settings'] {
    return this.#pad.settings;
  }

  /** Adds a workflow, or a Firework alone. Returns the ids of its Fireworks, in their order. */
  async add(what: Workflow | Firework): Promise<number[]> {
    const [ids] = await this.addAll([what]);
    return ids as number[];
  }

  /** Adds many at once, which is faster than one by one. Returns the ids of each. */
  async addAll(all: readonly (Workflow | Firework)[]): Promise<number[][]> {
    const maps = await addWorkflows(this.#pad, all.map(documentOf));
    return maps.map((ids) => [...ids.values()]);
  }

  /**
   * Adds a workflow below Fireworks that are there: it starts when they are COMPLETED. With `detour` their own children wait
   * for it. Returns the ids of its Fireworks, in their order.
   */
  async append(
    what: Workflow | Firework,
    o: { parents: readonly number[]; detour?: boolean },
  ): Promise<number[]> {
    return await appendWorkflow(this.#pad, documentOf(what), [...o.parents], { detour: o.detour });
  }

  /**
   * Tells how far workflows are: each at first, and again whenever it has changed, until all have ended, one was deleted, or
   * `signal` aborts. A LaunchPad that goes away meanwhile is waited for.
   *
   *     for await (const { name, completed, total } of launchpad.watch(ids)) console.log(name, completed, total);
   */
  watch(fwIds: number | readonly number[], o: WatchOptions = {}): AsyncIterable<Progress> {
    return watchWorkflows(this.#pad, listOf(fwIds), o);
  }

  /**
   * Waits until workflows have ended, however that may be, and returns the last of each: look at its `state`. Of one that was
   * deleted meanwhile `ended` is false. Throws the signal's reason when it aborts.
   */
  async finished(fwIds: number | readonly number[], o: WatchOptions = {}): Promise<Progress[]> {
    const last = new Map<number, Progress>();
    for await (const progress of this.watch(fwIds, o)) last.set(progress.fwId, progress);
    o.signal?.throwIfAborted();
    return [...last.values()];
  }

  /** Why FIZZLED Fireworks failed: of each the last line of its exception. */
  async failures(fwIds: number | readonly number[]): Promise<Failure[]> {
    return await failuresOf(this.#pad, listOf(fwIds));
  }

  /** A Firework with its launches; null when there is none. */
  async firework(fwId: number): Promise<StoredFirework | null> {
    const document = await this.#pad.fireworks.findOne({ fw_id: fwId }, TYPED);
    return document && (await this.#stored(document));
  }

  /**
   * The Fireworks that a MongoDB query finds: `{ state: 'FIZZLED' }`, `{ 'spec.seed': 7 }`. They are read as they are taken,
   * however many there are.
   */
  async *fireworks(query: Document = {}): AsyncGenerator<StoredFirework> {
    for await (const document of this.#pad.fireworks.find(query, TYPED)) yield await this.#stored(document);
  }

  /** How many Fireworks that a query finds are in each state; states without any are left out. */
  async counts(query: Document = {}): Promise<Partial<Record<State, number>>> {
    const counts: Partial<Record<State, number>> = {};
    const stages = [{ $match: query }, { $group: { _id: '$state', count: { $sum: 1 } } }];
    for await (const { _id, count } of this.#pad.fireworks.aggregate(stages))
      counts[_id as State] = numberOf(count);
    return counts;
  }

  /** The workflow of a Firework; null when there is none. */
  async workflow(fwId: number): Promise<StoredWorkflow | null> {
    const document = await this.#pad.workflows.findOne({ nodes: fwId }, TYPED);
    if (!document) return null;
    const byId = (entries: unknown) =>
      Object.entries(entries as Doc).map(([id, value]) => [Number(id), value] as const);
    return {
      name: String(document.name),
      state: document.state as State,
      metadata: plainDoc(document.metadata as Doc),
      states: new Map(byId(document.fw_states) as [number, State][]),
      children: new Map(byId(document.links).map(([id, ids]) => [id, (ids as unknown[]).map(numberOf)])),
      createdOn: timeOf(document.created_on),
      updatedOn: timeOf(document.updated_on),
    };
  }

  /** Runs Fireworks again, with everything below them. Returns the ids of those that were put back. */
  async rerun(fwIds: number | readonly number[], o: RerunOptions = {}): Promise<number[]> {
    const ids: number[] = [];
    for (const id of listOf(fwIds)) ids.push(...(await rerun(this.#pad, id, o)));
    return ids;
  }

  /** Holds a Firework that has not started. False when it has, or there is none. */
  async pause(fwId: number): Promise<boolean> {
    return await control.pause(this.#pad, fwId);
  }

  /** Lets a PAUSED Firework go on. False when it is not PAUSED. */
  async resume(fwId: number): Promise<boolean> {
    return await control.resume(this.#pad, fwId);
  }

  /** Takes a Firework out of the game, whatever became of it. */
  async defuse(fwId: number): Promise<boolean> {
    return await control.defuse(this.#pad, fwId);
  }

  /** Brings a DEFUSED Firework back. False when it is not DEFUSED. */
  async reignite(fwId: number): Promise<boolean> {
    return await control.reignite(this.#pad, fwId);
  }

  /** `pause` for all Fireworks of a workflow that have not started. */
  async pauseWorkflow(fwId: number): Promise<void> {
    await control.pauseWorkflow(this.#pad, fwId);
  }

  async resumeWorkflow(fwId: number): Promise<void> {
    await control.resumeWorkflow(this.#pad, fwId);
  }

  /** `defuse` for all Fireworks of a workflow. */
  async defuseWorkflow(fwId: number): Promise<void> {
    await control.defuseWorkflow(this.#pad, fwId);
  }

  async reigniteWorkflow(fwId: number): Promise<void> {
    await control.reigniteWorkflow(this.#pad, fwId);
  }

  /** Puts a workflow away for good: it stays readable, and nothing in it runs. */
  async archiveWorkflow(fwId: number): Promise<void> {
    await control.archiveWorkflow(this.#pad, fwId);
  }

  /** Deletes a workflow with its Fireworks and launches. Says how many of each. */
  async deleteWorkflow(fwId: number): Promise<Deleted> {
    return await control.deleteWorkflow(this.#pad, fwId);
  }

  /** Higher goes first. */
  async setPriority(fwId: number, priority: number): Promise<void> {
    await control.setPriority(this.#pad, fwId, priority);
  }

  /**
   * Sets keys in the specs of Fireworks; a key may be a path: `{ 'limits.most': 3 }`. Returns the ids of those that were left
   * as they are, because they run or have COMPLETED.
   */
  async updateSpec(
    fwIds: number | readonly number[],
    set: Readonly<Record<string, unknown>>,
  ): Promise<number[]> {
    return await control.updateSpecs(this.#pad, listOf(fwIds), typed(set) as Doc);
  }

  async close(): Promise<void> {
    await this.#pad.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stored(firework: Document): Promise<StoredFirework> {
    const launchIds = (firework.launches as unknown[]).map(numberOf);
    const launches: Launch[] = [];
    if (launchIds.length > 0)
      for await (const launch of this.#pad.launches.find({ launch_id: { $in: launchIds } }, TYPED))
        launches.push(await this.#launch(launch));
    return {
      fwId: numberOf(firework.fw_id),
      name: String(firework.name),
      state: firework.state as State,
      spec: plainDoc(firework.spec as Doc),
      createdOn: timeOf(firework.created_on),
      updatedOn: timeOf(firework.updated_on),
      launches: launches.sort((a, b) => a.launchId - b.launchId),
    };
  }

  async #launch(launch: Document): Promise<Launch> {
    const action = isDoc(launch.action) ? await storedAction(this.#pad, launch.action) : {};
    return {
      launchId: numberOf(launch.launch_id),
      state: launch.state as State,
      worker: String((launch.fworker as Doc | null)?.name ?? ''),
      host: String(launch.host ?? ''),
      launchDir: String(launch.launch_dir ?? ''),
      startedAt: timeOf(launch.time_start),
      endedAt: timeOf(launch.time_end),
      storedData: isDoc(action.stored_data) ? plainDoc(action.stored_data) : {},
    };
  }
}

const listOf = (fwIds: number | readonly number[]): number[] =>
  typeof fwIds === 'number' ? [fwIds] : [...fwIds];

function documentOf(what: Workflow | Firework) {
  const workflow = what instanceof Firework ? new Workflow([what], { name: what.name }) : what;
  if (!(workflow instanceof Workflow)) throw new BorealisError('Only a Workflow or a Firework can be added');
  return newWorkflow({ ...workflow.toDocument() });
}
