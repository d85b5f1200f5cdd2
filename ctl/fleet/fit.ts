/** How many VMs a fleet should have more, for the work that there is. Pure. */
import { SECOND } from '../../core/wait.ts';

/** Fireworks of the categories that the fleet is for. */
export interface Demand {
  ready: number;
  /** They wait for others: nobody can run them yet, and most of them will be run by workers that are there by then. */
  waiting: number;
}

export interface Supply {
  /** VMs that boot or work, and were not told to quit soon. */
  vms: number;
  /** Fireworks that run on them. */
  flying: number;
  /** When the newest VM of the fleet was made, whatever became of it; null when there is none. */
  newest: Date | null;
}

export interface Limits {
  min: number;
  max: number;
  /** Fireworks for each VM: 2 makes half as many VMs, each of which runs two after another (or at once, with slots). */
  perVm: number;
  /** After new VMs for so long no others: they take a while to boot and to take work. */
  cooldownMs: number;
}

export type Move = { move: 'grow'; count: number; why: string } | { move: 'stay'; why: string };

/** The fleet never shrinks by this: workers leave by themselves when they idle. */
export function fit(demand: Demand, supply: Supply, limits: Limits, now: Date): Move {
  const { ready, waiting } = demand;
  const { vms, flying, newest } = supply;
  const work = `${ready} READY, ${waiting} WAITING, ${flying} flying`;
  const wanted = Math.ceil((ready + flying) / limits.perVm);
  const bounded = Math.min(limits.max, Math.max(limits.min, wanted));
  const count = bounded - vms;
  const has = `${vms} VMs`;
  if (count <= 0) {
    if (wanted > vms) return { move: 'stay', why: `${work}: ${has} are as many as there may be (--max)` };
    if (vms > bounded) return { move: 'stay', why: `${work}: ${has} are more than enough; idle ones leave` };
    return { move: 'stay', why: `${work}: ${has} fit` };
  }
  const restMs = newest ? newest.getTime() + limits.cooldownMs - now.getTime() : 0;
  if (restMs > 0) {
    const secs = Math.ceil(restMs / SECOND);
    return { move: 'stay', why: `${work}: ${count} more are wanted, in ${secs} s (cool-down)` };
  }
  return { move: 'grow', count, why: `${work}: ${has} become ${bounded}` };
}

/** The numbers of `count` new VMs: the lowest that no VM has. */
export function freeNumbers(prefix: string, taken: readonly string[], count: number): number[] {
  const names = new Set(taken);
  const free: number[] = [];
  for (let n = 0; free.length < count; n++) if (!names.has(`${prefix}-${n}`)) free.push(n);
  return free;
}
