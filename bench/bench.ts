/** What a benchmark is: one piece of work, done by us and by the peer in turns, on the same machine in the same run. */

export interface Bench {
  /** As it is named on the command line. */
  name: string;
  /** What is measured, and against whom. */
  about: string;
  /** Of the figures. More is better, always. */
  unit: string;
  /** How often each side does it; the medians are compared. */
  repeats: number;
  /** Takes so long that it runs only when its whole name is given. */
  onRequest?: boolean;
  open(): Promise<Sides>;
}

export interface Sides extends AsyncDisposable {
  ours(): Promise<number>;
  /** Null where the peer cannot be had. */
  peer: (() => Promise<number>) | null;
}

export interface Figures {
  bench: string;
  ours: number;
  peer: number | null;
  /** How many times as much as the peer. */
  ratio: number | null;
  unit: string;
}

/** Runs one benchmark: the sides take turns, so that what else the machine does falls on both. */
export async function measure(bench: Bench): Promise<Figures> {
  await using sides = await bench.open();
  const ours: number[] = [];
  const peers: number[] = [];
  for (let i = 0; i < bench.repeats; i++) {
    ours.push(await sides.ours());
    if (sides.peer) peers.push(await sides.peer());
  }
  const [own, peer] = [median(ours), peers.length > 0 ? median(peers) : null];
  const ratio = peer === null ? null : rounded(own / peer);
  return { bench: bench.name, ours: rounded(own), peer: peer && rounded(peer), ratio, unit: bench.unit };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [below, above] = [sorted[(sorted.length - 1) >> 1] ?? NaN, sorted[middle] ?? NaN];
  return (below + above) / 2;
}

/** Three significant digits: a run on a busy machine knows no more. */
const rounded = (value: number) => Number(value.toPrecision(3));
