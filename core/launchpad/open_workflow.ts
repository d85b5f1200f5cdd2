/**
 * A workflow under its lock, read piece by piece: only the Fireworks that a change touches, and of the workflow document
 * only their links and states. So a rocket costs the same in a workflow of ten Fireworks and of ten thousand.
 *
 * Changes are gathered here and written by `commit` in an order that a crash can be repaired from:
 *   1. new Fireworks        WAITING, so that nobody takes them yet. A crash leaves Fireworks that no workflow names: never
 *                           run, harmless; the action that brought them is applied again;
 *   2. the workflow grows   it names them, and says so in `grew` until all is done. A crash from here on leaves the lock: the
 *                           next one who waits for it breaks it and repairs the workflow from its Fireworks. By `grew` it is
 *                           known that the action need not add them once more. (1 and 2 only where something was added);
 *   3. changed children     specs and states; a READY child may start at once;
 *   4. the Firework itself  a crash before this leaves it RUNNING with a finished launch: detect_lostruns finds and
 *                           refreshes it (3 is then done again: the same states; mod_spec like `_push` may apply twice,
 *                           as in Python FireWorks). 3 and 4 are one command;
 *   5. the workflow         its states, unless they were written with 2, and the lock is given back.
 */
import type { Document } from 'mongodb';
import { BorealisError } from '../errors.ts';
import { type Node, writesOf } from './firework_writes.ts';
import type { LaunchPad } from './launchpad.ts';
import { type Lock, releaseLock, renewLock, takeLock, takeLockIfFree, UNLOCK } from './lock.ts';
import type { State } from './model.ts';
import { workflowState } from './states.ts';
import { type Others, othersThan } from './surroundings.ts';
import { type Doc, numberOf, plain, TYPED } from './values.ts';

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
const CHUNK = 20_000;

/** States of a workflow that last while something in it goes on. */
export const LASTING: readonly State[] = ['RUNNING', 'FIZZLED', 'DEFUSED', 'PAUSED'];

/** States of Fireworks that do not decide their workflow's. */
const ORDINARY: readonly State[] = ['COMPLETED', 'RUNNING', 'READY', 'WAITING', 'RESERVED'];

/** What is read of a workflow as its lock is taken for the sake of `fwId`. */
const fieldsOf = (fwId: number): Document => ({
  state: 1,
  grew: 1,
  ...Object.fromEntries(['links', 'parent_links', 'fw_states'].map((field) => [`${field}.${fwId}`, 1])),
});

export class OpenWorkflow {
  readonly #nodes = new Map<number, Node>();
  readonly #children = new Map<number, number[]>();
  readonly #parents = new Map<number, number[]>();
  readonly #states = new Map<number, State>();
  readonly #storedStates = new Map<number, State>();
  readonly #added: (Document & { fw_id: number })[] = [];
  /** The ids of `#added`. */
  readonly #fresh = new Set<number>();
  readonly #relinked = new Set<number>();
  #grew: { fwId: number; nodes: ReadonlySet<number> } | null = null;
  /** Aborts when the lock is given back. */
  readonly #closed = new AbortController();
  #renewing: Promise<void> = Promise.resolve();
  #whole = false;
  /** `commit` has begun: what it wrote may be half of it. */
  #writing = false;
  #others: { changing: readonly number[]; answer: Promise<Others> } | null = null;

  private constructor(
    readonly launchpad: LaunchPad,
    readonly id: unknown,
    readonly lockedBy: string,
    public state: State,
  ) {}

  /**
   * Takes the lock of the workflow of `fwId`, which is found sooner by its `_id` where that is known. Whoever opens it must
   * `commit` or `abandon` it.
   */
  static async open(launchpad: LaunchPad, fwId: number, workflowId?: unknown): Promise<OpenWorkflow> {
    return await OpenWorkflow.#with(
      launchpad,
      fwId,
      await takeLock(launchpad, fwId, fieldsOf(fwId), workflowId),
    );
  }

  /** The same, unless somebody holds the lock, or there is no such workflow: then null. */
  static async openIfFree(
    launchpad: LaunchPad,
    fwId: number,
    workflowId: unknown,
  ): Promise<OpenWorkflow | null> {
    const lock = await takeLockIfFree(launchpad, workflowId, fieldsOf(fwId));
    return lock && (await OpenWorkflow.#with(launchpad, fwId, lock));
  }

  static async #with(
    launchpad: LaunchPad,
    fwId: number,
    { workflow: document, lockedBy, broken }: Lock,
  ): Promise<OpenWorkflow> {
    const workflow = new OpenWorkflow(launchpad, document._id, lockedBy, document.state as State);
    workflow.#renewing = renewLock(launchpad, document._id, lockedBy, workflow.#closed.signal);
    workflow.#take(document, [fwId]);
    try {
      if (broken || document.grew) await workflow.repair();
    } catch (thrown) {
      await workflow.abandon();
      throw thrown;
    }
    return workflow;
  }

  /**
   * Opens the workflow of `fwId`, calls `work`, writes what it changed, gives the lock back. When `work` throws, nothing is
   * written. A workflow whose lock was broken is first repaired from its Fireworks.
   */
  static async change<T>(
    launchpad: LaunchPad,
    fwId: number,
    work: (workflow: OpenWorkflow) => Promise<T>,
  ): Promise<T> {
    const workflow = await OpenWorkflow.open(launchpad, fwId);
    try {
      const result = await work(workflow);
      await workflow.commit(fwId);
      return result;
    } catch (thrown) {
      await workflow.abandon();
      throw thrown;
    }
  }

  /**
   * Gives the lock back and writes nothing. After a `commit` that failed half-way the lock stays: whoever takes it next,
   * this connection at once, repairs the workflow first.
   */
  async abandon(): Promise<void> {
    await this.#close();
    if (this.#writing) this.launchpad.locks.live.delete(this.lockedBy);
    else await releaseLock(this.launchpad, this.id, this.lockedBy).catch(() => {});
  }

  async #close(): Promise<void> {
    this.#closed.abort();
    await this.#renewing;
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

  has(id: number): boolean {
    return this.#children.has(id);
  }

  #known<T>(map: Map<number, T>, id: number): T {
    const value = map.get(id);
    if (value === undefined) throw new Error(`Firework ${id} was not loaded`);
    return value;
  }

  /** Reads the links of `ids`, both ways, and their states. */
  async loadLinks(ids: readonly number[]): Promise<void> {
    const missing = ids.filter((id) => !this.#children.has(id) || !this.#parents.has(id));
    if (missing.length > CHUNK) return await this.loadWhole();
    if (missing.length === 0) return;
    const fields = missing.flatMap((id) => [`links.${id}`, `parent_links.${id}`, `fw_states.${id}`]);
    this.#take(await this.#read(fields), missing);
  }

  /** Reads the links of `ids` and the states of their parents: what a refresh of them needs. */
  async loadAround(ids: readonly number[]): Promise<void> {
    await this.loadLinks(ids);
    const parents = [...new Set(ids.flatMap((id) => this.parents(id)))].filter((id) => !this.#states.has(id));
    if (parents.length > CHUNK) return await this.loadWhole();
    if (parents.length === 0) return;
    const document = await this.#read(parents.map((id) => `fw_states.${id}`));
    for (const id of parents) this.#takeState(document, id);
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
      this.#takeState(document, id);
    }
  }

  #takeState(document: Document, id: number): void {
    const state = document.fw_states?.[id] as State | undefined;
    if (!state) return;
    this.#storedStates.set(id, state);
    // What was changed since, and is not written yet, counts more.
    if (!this.#states.has(id)) this.#states.set(id, state);
  }

  /** Reads the Fireworks `ids`; their specs too, with the types of their values kept, when asked for. */
  async loadNodes(ids: readonly number[], withSpecs = false): Promise<void> {
    const missing = [...new Set(ids)].filter((id) => !this.#nodes.has(id));
    const projection = withSpecs
      ? { fw_id: 1, state: 1, launches: 1, archived_launches: 1, spec: 1 }
      : NODE_FIELDS;
    for (let i = 0; i < missing.length; i += CHUNK) {
      const query = { fw_id: { $in: missing.slice(i, i + CHUNK) } };
      // What is read of a Firework without its spec is small: one answer holds them all.
      const options = { projection, ...TYPED, ...(!withSpecs && { batchSize: CHUNK }) };
      for await (const document of this.launchpad.fireworks.find(query, options))
        this.#takeNode(document, withSpecs);
    }
    const gone = missing.find((id) => !this.#nodes.has(id));
    if (gone !== undefined)
      throw new BorealisError(`Firework ${gone} is named by its workflow but is not in the database`);
  }

  #takeNode(document: Document, withSpec: boolean): void {
    const fwId = numberOf(document.fw_id);
    const state = document.state as State;
    this.#nodes.set(fwId, {
      fwId,
      state,
      stateBefore: state,
      launches: (document.launches ?? []).map(numberOf),
      launchesBefore: (document.launches ?? []).map(numberOf),
      archivedLaunches: (document.archived_launches ?? []).map(numberOf),
      allowFizzledParents: Boolean(plain(document.spec?._allow_fizzled_parents)),
      hasFizzledParents: document.spec?._fizzled_parents !== undefined,
      ...(withSpec && { spec: document.spec as Doc }),
      changed: new Set(),
    });
  }

  /** Reads the specs of Fireworks, with the types of their values kept. */
  async loadSpecs(ids: readonly number[]): Promise<void> {
    await this.loadNodes(ids, true);
    const missing = ids.filter((id) => this.node(id).spec === undefined);
    if (missing.length === 0) return;
    const found = this.launchpad.fireworks.find(
      { fw_id: { $in: missing } },
      { projection: { fw_id: 1, spec: 1 }, ...TYPED },
    );
    for await (const document of found) this.node(numberOf(document.fw_id)).spec = document.spec as Doc;
  }

  /** Begins to ask, so that `commit` need not wait, what the workflow's state depends on when `changing` alone change. */
  foreseeState(changing: readonly number[]): void {
    this.#others ??= { changing, answer: othersThan(this.launchpad, this.id, changing) };
    this.#others.answer.catch(() => {});
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

  /** Whether any Firework but `id` has a state that is not written yet: then stored states do not tell all. */
  changedBeside(id: number): boolean {
    if (this.#added.length > 0) return true;
    for (const [other, state] of this.#states) {
      if (other !== id && this.#storedStates.has(other) && this.#storedStates.get(other) !== state)
        return true;
    }
    return false;
  }

  /** What the action of `fwId` has added already, in a commit that was not finished; null: nothing. */
  grownBy(fwId: number): ReadonlySet<number> | null {
    return this.#grew?.fwId === fwId ? this.#grew.nodes : null;
  }

  /** True for a Firework that `add` brought. */
  isNew(id: number): boolean {
    return this.#fresh.has(id);
  }

  /** Adds a Firework document under a new id, with its children. Links from parents are the caller's. After `loadWhole`. */
  add(document: Document & { fw_id: number }, children: readonly number[]): void {
    const fwId = document.fw_id;
    this.#added.push(document);
    this.#fresh.add(fwId);
    this.#children.set(fwId, []);
    // Its parents may have been added before it.
    if (!this.#parents.has(fwId)) this.#parents.set(fwId, []);
    this.#states.set(fwId, 'WAITING');
    this.#takeNode({ ...document, state: 'WAITING' }, true);
    this.#relinked.add(fwId);
    for (const child of children) this.link(fwId, child);
  }

  /** Makes `child` wait for `parent` too. After `loadWhole`; both may have been added just now. */
  link(parent: number, child: number): void {
    this.children(parent).push(child);
    this.#relinked.add(parent);
    const parents = this.#parents.get(child);
    if (parents) parents.push(parent);
    else this.#parents.set(child, [parent]);
    this.#relinked.add(child);
  }

  /** Sets every Firework's state in the workflow document to the Firework's own, which is the truth, and refreshes all. */
  async repair(): Promise<void> {
    await this.loadWhole();
    await this.loadNodes(this.ids());
    const { grew } = await this.#read(['grew']);
    if (grew) this.#grew = { fwId: numberOf(grew.fw_id), nodes: new Set(grew.nodes.map(numberOf)) };
    for (const id of this.ids()) this.#states.set(id, this.node(id).state);
    const { refresh } = await import('./refresh.ts');
    for (const id of this.ids()) {
      const { state, launches } = this.node(id);
      // A worker took it a moment ago and has no launch yet: to refresh it would offer it to a second one.
      if (state === 'RESERVED' && launches.length === 0) continue;
      await refresh(this, id);
    }
  }

  /** Writes what changed, `fwId` last of the Fireworks, and gives the lock back. */
  async commit(fwId: number): Promise<void> {
    const state = this.#newState();
    state.catch(() => {});
    const held = (await this.#grow(fwId, state)) && (await this.#change(fwId, state));
    await this.#giveBack(fwId, held);
  }

  /** After the last write, with which the lock was given back, if it was `held`. */
  async #giveBack(fwId: number, held: boolean): Promise<void> {
    await this.#close();
    this.launchpad.locks.live.delete(this.lockedBy);
    if (held) return;
    // Somebody took us for dead and broke the lock. What was written to the Fireworks stands; the workflow follows them.
    this.launchpad.log.warning(`The lock of the workflow of Firework ${fwId} was broken while it was held`);
    await OpenWorkflow.change(this.launchpad, fwId, (workflow) => workflow.repair());
  }

  /** Steps 1 and 2. False when the lock is no longer ours. */
  async #grow(fwId: number, state: Promise<State>): Promise<boolean> {
    const nodes = [...this.#fresh];
    if (nodes.length === 0) return true;
    const grew = { fw_id: fwId, nodes };
    const $set = { ...this.#workflowChanges(await state), grew };
    this.#writing = true;
    await this.launchpad.fireworks.insertMany(this.#added);
    return await this.#updateWorkflow({ $set, $push: { nodes: { $each: nodes } } });
  }

  /** Steps 3 to 5. False when the lock is no longer ours. */
  async #change(fwId: number, state: Promise<State>): Promise<boolean> {
    const others = [...this.#nodes.values()].filter((node) => node.fwId !== fwId);
    const own = this.#nodes.get(fwId);
    const writes = writesOf(own ? [...others, own] : others);
    this.#writing = true;
    if (writes.length > 0) await this.launchpad.fireworks.bulkWrite(writes, { ordered: true });
    const $unset = { ...UNLOCK, grew: '' } as const;
    if (this.#fresh.size > 0) return await this.#updateWorkflow({ $unset });
    return await this.#updateWorkflow({ $set: this.#workflowChanges(await state), $unset });
  }

  async #updateWorkflow(update: Document): Promise<boolean> {
    const mine = { _id: this.id as never, locked: true, locked_by: this.lockedBy };
    return (await this.launchpad.workflows.updateOne(mine, update)).matchedCount > 0;
  }

  #workflowChanges(state: State): Document {
    const set: Document = { state, updated_on: new Date() };
    for (const [id, own] of this.#states)
      if (this.#storedStates.get(id) !== own) set[`fw_states.${id}`] = own;
    for (const id of this.#relinked) {
      set[`links.${id}`] = this.children(id);
      const parents = this.parents(id);
      if (parents.length > 0) set[`parent_links.${id}`] = parents;
    }
    return set;
  }

  /** Whether the workflow's state can only be what it was, once Fireworks like `fwId` went on and became COMPLETED. */
  lasts(fwId: number): boolean {
    return LASTING.includes(this.state) && this.children(fwId).length > 0;
  }

  /**
   * The workflow's state. Where Fireworks only went on, and none of them is a leaf, it is what it was: what is held or
   * fizzled elsewhere decides as before. Then the other states need not be looked at.
   */
  async #newState(): Promise<State> {
    const nodes = [...this.#nodes.values()];
    const wentOn = nodes.every(
      ({ fwId, state, stateBefore, changed }) =>
        ORDINARY.includes(state) &&
        ORDINARY.includes(stateBefore) &&
        (state !== 'COMPLETED' || (this.#children.get(fwId)?.length ?? 0) > 0) &&
        // It may allow its parents to be FIZZLED now.
        !(this.state === 'FIZZLED' && changed.has('spec')),
    );
    const active = nodes.some(({ state }) => state === 'COMPLETED' || state === 'RUNNING');
    if (wentOn && active && LASTING.includes(this.state) && this.#relinked.size === 0) return this.state;
    const { states, fizzled, leavesCompleted } = await this.#overall();
    await this.loadLinks(fizzled);
    await this.loadNodes(fizzled.flatMap((id) => this.children(id)));
    const childrenOfFizzled = fizzled.map((id) =>
      this.children(id).map((child) => this.node(child).allowFizzledParents),
    );
    return workflowState({ states, leavesCompleted, childrenOfFizzled });
  }

  async #overall(): Promise<{ states: Set<State>; fizzled: number[]; leavesCompleted: boolean }> {
    const known = [...this.#states].filter(([id, state]) => this.#storedStates.get(id) !== state);
    if (this.#whole) {
      const leaves = this.ids().filter((id) => this.children(id).length === 0);
      return {
        states: new Set(this.#states.values()),
        fizzled: this.ids().filter((id) => this.stateOf(id) === 'FIZZLED'),
        leavesCompleted: leaves.every((id) => this.stateOf(id) === 'COMPLETED'),
      };
    }
    const changing = known.map(([id]) => id);
    const foreseen = this.#others;
    const fits = foreseen && foreseen.changing.length >= changing.length;
    const asked = fits && changing.every((id) => foreseen.changing.includes(id)) ? foreseen : null;
    const answer = await (asked?.answer ?? othersThan(this.launchpad, this.id, changing));
    const own = (asked?.changing ?? changing).map((id) => [id, this.stateOf(id)] as const);
    return {
      states: new Set([...answer.states, ...own.map(([, state]) => state)]),
      fizzled: [...answer.fizzled, ...own.filter(([, state]) => state === 'FIZZLED').map(([id]) => id)],
      leavesCompleted:
        answer.leavesCompleted &&
        own.every(([id, state]) => state === 'COMPLETED' || !answer.leaves.includes(id)),
    };
  }
}
