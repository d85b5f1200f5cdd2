/**
 * What fits a worker beside what flies there already. A Firework may say what it needs: `_cpus`, and `_memory` in GiB. One
 * that does not say takes the share of a slot: with 4 slots on 8 cores, 2 cores.
 */
import { availableParallelism, totalmem } from 'node:os';
import { BorealisError } from '../core/errors.ts';
import {
  type Doc,
  type FWorker,
  fworkerQuery,
  type LaunchPad,
  numberOf,
  plain,
} from '../core/launchpad/index.ts';

export interface Need {
  cpus: number;
  /** GiB. */
  memory: number;
}

/** All that a worker has, and into how many slots it is divided. */
export interface Room extends Need {
  slots: number;
}

const GIB = 1024 ** 3;

/** This machine's room. Its memory is rounded up to whole GiB, for the kernel keeps some of what the machine type promises. */
export function roomHere(slots: number | 'auto', machine = thisMachine()): Room {
  const { cpus, memoryBytes } = machine;
  return { slots: slots === 'auto' ? cpus : slots, cpus, memory: Math.ceil(memoryBytes / GIB) };
}

function thisMachine() {
  const limit = process.constrainedMemory();
  const memoryBytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return { cpus: availableParallelism(), memoryBytes };
}

/** What a spec says that it needs; null: nothing, or no number. */
function said(value: unknown): number | null {
  const number = plain(value);
  return typeof number === 'number' && number >= 0 ? number : null;
}

/** What a Firework needs of this room. */
export function needOf(spec: Doc, { slots, cpus, memory }: Room): Need {
  return { cpus: said(spec._cpus) ?? cpus / slots, memory: said(spec._memory) ?? memory / slots };
}

/** Throws for a need that is no number: '8g' would count as not said, and the Firework would run where there is no room for it. */
export function checkNeeds(fwId: number, spec: Doc): void {
  for (const [key, unit] of Object.entries({ _cpus: 'cores', _memory: 'GiB' })) {
    if (spec[key] === undefined || spec[key] === null || said(spec[key]) !== null) continue;
    throw new BorealisError(
      `${key} in its spec is ${JSON.stringify(plain(spec[key]))}: it must be a number, of ${unit}. Correct it: lpad update_fws -i ${fwId} -u '{"${key}": 8}'; then: lpad rerun_fws -i ${fwId}`,
    );
  }
}

/** Thirds of a number do not add up to it exactly. */
const ABOUT = 1e-6;

/** The condition on Fireworks that fit beside what flies: one more part of a checkout's query. */
export function fitting(room: Room, flying: readonly Need[]): Doc {
  const part = (key: 'cpus' | 'memory'): Doc => {
    const left = room[key] - flying.reduce((sum, need) => sum + need[key], 0) + ABOUT;
    const field = `spec._${key}`;
    // What does not say what it needs (or not by a number) takes a share.
    return left >= room[key] / room.slots
      ? { [field]: { $not: { $gt: left } } }
      : { [field]: { $lte: left } };
  };
  return { $and: [part('cpus'), part('memory')] };
}

/** The condition on Fireworks that fit this worker when nothing flies there. */
export const everFitting = (room: Room): Doc => fitting(room, []);

/** So many are told at once. */
const FEW = 10;

/** What is READY may be much, and to know this is not worth more. */
const WORTH_MS = 2000;
/** MaxTimeMSExpired. */
const TIME_IS_OVER = 50;

/** Some Fireworks that are READY for this worker and never fit it, and what each asks for. */
export async function unfitting(
  { fireworks }: LaunchPad,
  fworker: FWorker,
  room: Room,
): Promise<{ fwId: number; asks: string }[]> {
  const query = fworkerQuery({ ...fworker, only: { $nor: [everFitting(room)] } });
  const projection = { fw_id: 1, 'spec._cpus': 1, 'spec._memory': 1 };
  const options = { projection, limit: FEW, maxTimeMS: WORTH_MS };
  const found = await fireworks
    .find({ ...query, state: 'READY' }, options)
    .toArray()
    .catch((thrown: unknown) => {
      if ((thrown as { code?: unknown }).code === TIME_IS_OVER) return [];
      throw thrown;
    });
  return found.map(({ fw_id, spec }) => {
    const { cpus, memory } = needOf(spec, { slots: 1, cpus: 0, memory: 0 });
    return {
      fwId: numberOf(fw_id),
      asks: [cpus && `${cpus} CPUs`, memory && `${memory} GiB`].filter(Boolean).join(', '),
    };
  });
}
