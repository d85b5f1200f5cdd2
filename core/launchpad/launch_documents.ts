/** Launches as Python FireWorks writes them (`Launch.to_db_dict`): how one begins, and what its end adds. */
import { hostname, networkInterfaces } from 'node:os';
import { Double } from 'bson';
import type { Document } from 'mongodb';
import { MINUTE } from '../wait.ts';
import { type FWorker, fworkerDoc, type State } from './model.ts';
import { trackersDoc, trackersOf } from './trackers.ts';
import { type Doc, isoTime, timeOf } from './values.ts';

export interface NewLaunch {
  launchId: number;
  fwId: number;
  fworker: FWorker;
  launchDir: string;
  host?: string;
  ip?: string;
  trackers?: unknown;
  state: 'RUNNING' | 'RESERVED';
  at: Date;
  /** What it was before: a reservation in a queue that becomes this run. */
  history?: readonly Doc[];
  checkpoint?: Doc;
}

/** The document of a launch that begins now. */
export function launchDocument(l: NewLaunch): Document {
  const at = isoTime(l.at);
  const entry = { state: l.state, created_on: at, updated_on: at };
  const history = [...(l.history ?? []), l.checkpoint ? { ...entry, checkpoint: l.checkpoint } : entry];
  return {
    fworker: fworkerDoc(l.fworker),
    fw_id: l.fwId,
    launch_dir: l.launchDir,
    host: l.host ?? hostname(),
    ip: l.ip ?? ownAddress(),
    trackers: trackersDoc(trackersOf(l.trackers)),
    action: null,
    state: l.state,
    state_history: history,
    launch_id: l.launchId,
    time_start: l.state === 'RUNNING' ? at : null,
    time_end: null,
    runtime_secs: null,
    ...reservedTime(history, l.at),
  };
}

/** One that nobody has written, and nobody shall: whoever wanted to has died. */
export function unbornLaunch(launchId: number, fwId: number): Document {
  const nobody = { fworker: { name: 'nobody', category: '', query: {}, env: {} }, host: '', ip: '' };
  const launch = launchDocument({
    launchId,
    fwId,
    ...nobody,
    launchDir: '',
    state: 'RUNNING',
    at: new Date(),
  });
  return { ...launch, ...ending(launch, 'FIZZLED').$set };
}

/** How long a launch was in a queue. Python leaves the field out for launches that never were. */
function reservedTime(history: readonly Doc[], until: Date): Document {
  const from = timeOf(history.find((entry) => entry.state === 'RESERVED')?.created_on);
  if (!from) return {};
  // Python takes another look at the clock here, so that it is never 0.
  return { reservedtime_secs: new Double(Math.max(1e-6, (until.getTime() - from.getTime()) / 1000)) };
}

/** This machine's address, as FireWorks' `get_my_ip`: the first that other machines can reach. */
function ownAddress(): string {
  if (performance.now() - known.at < MINUTE) return known.address;
  known = { at: performance.now(), address: lookUpAddress() };
  return known.address;
}

/** It changes seldom, and asking the system takes as long as a command to the LaunchPad. */
let known = { at: Number.NEGATIVE_INFINITY, address: '' };

function lookUpAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find((address) => address.family === 'IPv4' && !address.internal)?.address ?? '127.0.0.1';
}

/** The update that ends a launch which has the fields `state_history` and `time_start`, read with their types. */
export function ending(launch: Document, state: State, at = new Date()): Document {
  const history = [...(launch.state_history as Doc[])];
  const last = history.at(-1);
  const entry: Doc = { state, created_on: isoTime(at) };
  // The checkpoint stays with what did not complete: a rerun can recover from it.
  if (state !== 'COMPLETED' && last?.checkpoint) entry.checkpoint = last.checkpoint;
  return {
    $set: { state, state_history: [...history, entry], ...endingTimes(timeOf(launch.time_start), at) },
  };
}

/** The update that ends a launch as COMPLETED, without having read it. */
export function completion(startedAt: Date, at: Date): { $set: Document; $push: Document } {
  return {
    $set: { state: 'COMPLETED', ...endingTimes(startedAt, at) },
    $push: { state_history: { state: 'COMPLETED', created_on: isoTime(at) } },
  };
}

/** The same as fields and the expressions that they become. */
export function completionExpressions(startedAt: Date, at: Date, action: Doc | null): Document {
  const { $set, $push } = completion(startedAt, at);
  const state_history = { $concatArrays: ['$state_history', [$push.state_history]] };
  return { ...$set, state_history, ...(action && { action: { $literal: action } }) };
}

function endingTimes(startedAt: Date | null, at: Date): Document {
  const secs = startedAt && new Double((at.getTime() - startedAt.getTime()) / 1000);
  return { time_end: isoTime(at), runtime_secs: secs };
}
