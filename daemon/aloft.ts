import type { Claim } from '../core/launchpad/index.ts';
import { MINUTE } from '../core/wait.ts';
import type { StopReason } from './life.ts';

type Rocket = Pick<Claim, 'launchId' | 'fwId' | 'name'>;

/** A status is one line. */
const MOST_TOLD = 5;
const LONGEST_NAME = 60;

/** The rockets that are in flight, for people who ask what this worker does. */
export class Aloft {
  readonly #rockets = new Map<number, Rocket & { since: number }>();

  constructor(readonly now: () => number = () => performance.now()) {}

  tookOff({ launchId, fwId, name }: Rocket): void {
    this.#rockets.set(launchId, { launchId, fwId, name, since: this.now() });
  }

  landed(launchId: number): void {
    this.#rockets.delete(launchId);
  }

  /** "flying fw 12 'align' 3 min"; "flying 3: fw 12 ..."; "idle"; and why it stops. */
  status(stop: Pick<StopReason, 'why'> | null): string {
    const rockets = [...this.#rockets.values()];
    const told = rockets.slice(0, MOST_TOLD).map(({ fwId, name, since }) => {
      const minutes = Math.floor((this.now() - since) / MINUTE);
      return `fw ${fwId} '${name.slice(0, LONGEST_NAME)}' ${minutes} min`;
    });
    if (rockets.length > MOST_TOLD) told.push(`${rockets.length - MOST_TOLD} more`);
    const count = rockets.length > 1 ? `${rockets.length}: ` : '';
    const now = rockets.length > 0 ? `flying ${count}${told.join(', ')}` : 'idle';
    return stop ? `stopping (${stop.why}); ${now}` : now;
  }
}
