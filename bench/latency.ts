/** Rockets per second where the LaunchPad is not next door: the same as bench/rockets.ts, each round trip taking longer. */
import type { Bench } from './bench.ts';
import { fanOut, rockets, single } from './rockets.ts';

const far = (roundTripMs: number, count: number): Bench[] =>
  [
    {
      name: `one-by-one-${roundTripMs}ms`,
      about: `${count} workflows of one Firework, ${roundTripMs} ms away`,
      workflows: () => Array.from({ length: count }, (_, i) => single(i + 1)),
    },
    {
      name: `fan-out-400-${roundTripMs}ms`,
      about: `the first ${count} of a root with 400 children, ${roundTripMs} ms away`,
      workflows: () => [fanOut(400)],
    },
  ].map((flights) => rockets({ ...flights, count, roundTripMs, repeats: 2 }, 'script'));

export const benches: Bench[] = [...far(1, 100), ...far(20, 15)];
