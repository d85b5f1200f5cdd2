/**
 * A workflow under its lock, read piece by piece: only the Fireworks that a change touches, and of the workflow document
 * only their links and states. So a rocket costs the same in a workflow of ten Fireworks and of ten thousand.
 *
 * Changes are gathered here and written by `commit` in an order that a crash can be repaired from:
 *   1. new Fireworks        a crash leaves Fireworks that no workflow names: never run, deleted by nobody, harmless;
 *   2. changed children     specs and states; a READY child may start at once;
 *   3. the Firework itself  a crash before this leaves it RUNNING with a finished launch: detect_lostruns finds and
 *                           refreshes it (2 is then done again: the same states; mod_spec like `_push` may apply twice,
 *                           as in Python FireWorks);
 *   4. the workflow         a crash before this leaves the lock and old fw_states: the next one who waits for the lock
 *                           breaks it and repairs the workflow from its Fireworks.
 */
import type { AnyBulkWriteOperation, Document } from 'mongodb';
import { BorealisError } from '../errors.ts';
import type { LaunchPad } from './launchpad.ts';
import { releaseLock, takeLock } from './lock.ts';
import type { State } from './model.ts';
import { parentLinks, workflowState } from './states.ts';
import { type Doc, isoTime, numberOf, plain, TYPED } from './values.ts';

/** A Firework of an open workflow. `spec` is typed, and there only after `loadSpecs`. */
export interface Node {
  fwId: number;
  state: State;
  launches: number[];
  archivedLaunches: number[];
  allowFizzledParents: boolean;
  hasFizzledParents: boolean;
  spec?: Doc;
  /** What `commit` has to write. */
  changed: Set<'state' | 'spec' | 'launches'>;
}

const NODE_FIELDS = {
  fw_id: 1,
  state: 1,
  launches: 1,
  archived_launches: 1,
  'spec._allow_fizzled_parents': 1,
  // Of the parents' reports only whether there are any.
  'spec._fizzled_parents.fw_id': 1,
};

/** How many ids one query names at most. */
const CHUNK = 5000;

export class OpenWorkflow {
  readonly #nodes = new Map<number, Node>();
  readonly #children = new Map<number, number[]>();
  readonly #parents = new Map<number, number[]>();
  readonly #states = new Map<number, State>();
  readonly #added: Document[] = [];
  #linksChanged = false;
  #whole = false;

  private constructor(
    readonly launchpad: LaunchPad,
    readonly id: unknown,
    public state: State,
  ) {}

  /**
   * Takes the lock of the workflow of `fwId`, calls `work`, writes what it changed, gives the lock back. When `work` throws,
   * nothing is written. A workflow whose lock was broken is first repaired from its Fireworks.
   */
  static async change<T>(
    launchpad: LaunchPad,
    fwId: number,
    work: (workflow: OpenWorkflow) => Promise<T>,
  ): Promise<T> {
    const fields = { state: 1, [`links.${fwId}`]: 1, [`parent_links.${fwId}`]: 1, [`fw_states.${fwId}`]: 1 };
    const { workflow: document, broken } = await takeLock(launchpad, fwId, fields);
    const workflow = new OpenWorkflow(launchpad, document._id, document.state as State);
    workflow.#take(document, [fwId]);
    try {
      if (broken) await workflow.#repair();
      const result = await work(workflow);
      await workflow.#commit(fwId);
      return result;
    } catch (thrown) {
      await releaseLock(launchpad, document._id).catch(() => {});
      throw thrown;
    }
  }

  children(id: number): number[] {
    return this.#known(this.#children, id);
  }

  parents(id: number): number[] {
    return this.#known(this.#parents, id);
  }

  /** The state that the workflow document has for a Firework (`fw_states`). */
  stateOf(id: number): State {
    return this.#known(this.#states, id);
  }

  node(id: number): Node {
    return this.#known(this.#nodes, id);
  }

  /** Every fw_id. After `loadWhole`. */
  ids(): number[] {
    return [...this.#children.keys()];
  }

  #known<T>(map: Map<number, T>, id: number): T {
    const value = map.get(id);
    if (value === undefined) throw new Error(`Firework ${id} was not loaded`);
    return value;
  }

  /** Reads the links of `ids` and the states of their parents: what a refresh of them needs. */
  async loadAround(ids: readonly number[]): Promise<void> {
    const missing = ids.filter((id) => !this.#children.has(id) || !this.#parents.has(id));
    if (missing.length > CHUNK) return await this.loadWhole();
    if (missing.length > 0) {
      const fields = missing.flatMap((id) => [`links.${id}`, `parent_links.${id}`, `fw_states.${id}`]);
      this.#take(await this.#read(fields), missing);
    }
    const parents = [...new Set(ids.flatMap((id) => this.parents(id)))].filter((id) => !this.#states.has(id));
    if (parents.length > CHUNK) return await this.loadWhole();
    if (parents.length > 0) {
      const document = await this.#read(parents.map((id) => `fw_states.${id}`));
      for (const id of parents) this.#states.set(id, document.fw_states?.[id] as State);
    }
  }

  /** Reads all links and states: for changes that are about the workflow as a whole. */
  async loadWhole(): Promise<void> {
    if (this.#whole) return;
    const document = await this.#read(['links', 'parent_links', 'fw_states', 'nodes']);
    const ids = (document.nodes as number[]).map(numberOf);
    this.#take(
      document,
      ids.filter((id) => !this.#children.has(id)),
    );
    this.#whole = true;
  }

  async #read(fields: string[]): Promise<Document> {
    const projection = Object.fromEntries(fields.map((field) => [field, 1]));
    const document = await this.launchpad.workflows.findOne({ _id: this.id as never }, { projection });
    if (!document) throw new BorealisError('The workflow was deleted while it was being changed');
    return document;
  }

  #take(document: Document, ids: readonly number[]): void {
    for (const id of ids) {
      this.#children.set(id, ((document.links?.[id] ?? []) as unknown[]).map(numberOf));
      this.#parents.set(id, ((document.parent_links?.[id] ?? []) as unknown[]).map(numberOf));
      const state = document.fw_states?.[id] as State | undefined;
      if (state) this.#states.set(id, state);
    }
  }

  /** Reads the Fireworks `ids`, without their specs. */
  async loadNodes(ids: readonly number[]): Promise<void> {
    const missing = [...new Set(ids)].filter((id) => !this.#nodes.has(id));
    for (let i = 0; i < missing.length; i += CHUNK) {
      const query = { fw_id: { $in: missing.slice(i, i + CHUNK) } };
      for await (const document of this.launchpad.fireworks.find(query, { projection: NODE_FIELDS })) {
        const fwId = numberOf(document.fw_id);
        this.#nodes.set(fwId, {
          fwId,
          state: document.state as State,
          launches: (document.launches ?? []).map(numberOf),
          archivedLaunches: (document.archived_launches ?? []).map(numberOf),
          allowFizzledParents: Boolean(document.spec?._allow_fizzled_parents),
          hasFizzledParents: document.spec?._fizzled_parents !== undefined,
          changed: new Set(),
        });
      }
    }
    const gone = missing.find((id) => !this.#nodes.has(id));
    if (gone !== undefined)
      throw new BorealisError(`Firework ${gone} is named by its workflow but is not in the database`);
  }

  /** Reads the specs of loaded Fireworks, with the types of their values kept. */
  async loadSpecs(ids: readonly number[]): Promise<void> {
    await this.loadNodes(ids);
    const missing = ids.filter((id) => this.node(id).spec === undefined);
    if (missing.length === 0) return;
    const found = this.launchpad.fireworks.find(
      { fw_id: { $in: missing } },
      { projection: { fw_id: 1, spec: 1 }, ...TYPED },
    );
    for await (const document of found) this.node(numberOf(document.fw_id)).spec = document.spec as Doc;
  }

  /** Sets a Firework's state, in its own document and in the workflow's. */
  setState(id: number, state: State): void {
    const node = this.node(id);
    this.#states.set(id, state);
    if (node.state === state) return;
    node.state = state;
    node.changed.add('state');
  }

  /** Sets what the workflow document says of a Firework, without touching the Firework. */
  setWorkflowState(id: number, state: State): void {
    this.#states.set(id, state);
  }

  /** Adds a Firework document under a new id, with its children. Links from parents are the caller's. */
  add(document: Document & { fw_id: number }, children: number[]): void {
    const fwId = document.fw_id;
    this.#added.push(document);
    this.#children.set(fwId, children);
    this.#states.set(fwId, 'WAITING');
    this.#nodes.set(fwId, {
      fwId,
      state: 'WAITING',
      launches: [],
      archivedLaunches: [],
      allowFizzledParents: Boolean(plain(document.spec._allow_fizzled_parents)),
      hasFizzledParents: document.spec._fizzled_parents !== undefined,
      spec: document.spec as Doc,
      changed: new Set(),
    });
    this.#linksChanged = true;
  }

  link(parent: number, child: number): void {
    this.children(parent).push(child);
    this.#linksChanged = true;
  }

  /** Makes `parents` agree with the links after Fireworks were added. After `loadWhole`. */
  relink(): void {
    const parents = parentLinks(Object.fromEntries(this.#children));
    for (const id of this.#children.keys()) this.#parents.set(id, parents[id] ?? []);
  }

  /** Sets every Firework's state in the workflow document to the Firework's own, which is the truth. */
  async #repair(): Promise<void> {
    await this.loadWhole();
    await this.loadNodes(this.ids());
    for (const id of this.ids()) this.#states.set(id, this.node(id).state);
    const { refresh } = await import('./refresh.ts');
    for (const id of this.ids()) await refresh(this, id);
  }

  async #commit(fwId: number): Promise<void> {
    const { fireworks, workflows } = this.launchpad;
    if (this.#added.length > 0) {
      for (const document of this.#added) document.state = this.node(document.fw_id).state;
      await fireworks.insertMany(this.#added);
    }
    const fresh = new Set(this.#added.map((document) => document.fw_id as number));
    const changed = [...this.#nodes.values()].filter(
      (node) => node.changed.size > 0 && !fresh.has(node.fwId),
    );
    const others = changed.filter((node) => node.fwId !== fwId);
    if (others.length > 0) await fireworks.bulkWrite(writesOf(others), { ordered: false });
    const own = changed.filter((node) => node.fwId === fwId);
    if (own.length > 0) await fireworks.bulkWrite(writesOf(own));
    await workflows.updateOne(
      { _id: this.id as never },
      { $set: await this.#workflowChanges(), $unset: { locked: '' } },
    );
  }

  async #workflowChanges(): Promise<Document> {
    const state = await this.#newState();
    const set: Document = { state, updated_on: new Date() };
    if (this.#linksChanged || this.#whole) {
      set.fw_states = Object.fromEntries(this.#states);
      if (this.#linksChanged) {
        set.links = Object.fromEntries(this.#children);
        set.parent_links = parentLinks(set.links);
        set.nodes = this.ids();
      }
    } else {
      const touched = [...this.#nodes.keys()];
      for (const id of touched) set[`fw_states.${id}`] = this.stateOf(id);
    }
    return set;
  }

  /**
   * The workflow's state. While nothing is held or fizzled and the change was not at a leaf, it can only be RUNNING once
   * something has completed: then the other states need not be read.
   */
  async #newState(): Promise<State> {
    const nodes = [...this.#nodes.values()];
    const simple = this.state === 'RUNNING' && !this.#whole && !this.#linksChanged;
    const plainStates = ['COMPLETED', 'RUNNING', 'READY', 'WAITING', 'RESERVED'];
    const running = nodes.some((node) => node.state === 'COMPLETED' || node.state === 'RUNNING');
    if (
      simple &&
      running &&
      nodes.every(
        (n) => plainStates.includes(n.state) && (n.state !== 'COMPLETED' || this.children(n.fwId).length > 0),
      )
    ) {
      return 'RUNNING';
    }
    await this.loadWhole();
    const states = Object.fromEntries(this.#states);
    const links = Object.fromEntries(this.#children);
    const fizzled = this.ids().filter((id) => this.#states.get(id) === 'FIZZLED');
    await this.loadNodes(fizzled.flatMap((id) => this.children(id)));
    return workflowState({ links, states, allowsFizzledParents: (id) => this.node(id).allowFizzledParents });
  }
}

function writesOf(nodes: readonly Node[]): AnyBulkWriteOperation<Document>[] {
  const now = isoTime();
  const writes: AnyBulkWriteOperation<Document>[] = [];
  // Fireworks that only change their state are changed together: a fan-out of thousands is a handful of writes.
  const byState = Map.groupBy(
    nodes.filter((node) => node.changed.size === 1 && node.changed.has('state')),
    (node) => node.state,
  );
  for (const [state, group] of byState) {
    const filter = { fw_id: { $in: group.map((node) => node.fwId) } };
    writes.push({ updateMany: { filter, update: { $set: { state, updated_on: now } } } });
  }
  for (const node of nodes) {
    if (node.changed.size === 1 && node.changed.has('state')) continue;
    const set: Document = {};
    if (node.changed.has('state')) Object.assign(set, { state: node.state, updated_on: now });
    if (node.changed.has('spec')) set.spec = node.spec;
    if (node.changed.has('launches'))
      Object.assign(set, { launches: node.launches, archived_launches: node.archivedLaunches });
    writes.push({ updateOne: { filter: { fw_id: node.fwId }, update: { $set: set } } });
  }
  return writes;
}
