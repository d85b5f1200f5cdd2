/** How far a pull is, from the lines that the Engine sends meanwhile. */
import * as z from 'zod';

const lineSchema = z.looseObject({
  status: z.string().default(''),
  id: z.string().optional(),
  progressDetail: z.looseObject({ current: z.number().default(0), total: z.number().default(0) }).nullish(),
});

interface Layer {
  bytes: number;
  total: number;
  done: boolean;
}

export class PullProgress {
  readonly #layers = new Map<string, Layer>();
  readonly #now: () => number;
  readonly #startedAt: number;
  #upToDate = false;

  constructor(now: () => number = performance.now.bind(performance)) {
    this.#now = now;
    this.#startedAt = now();
  }

  take(raw: Record<string, unknown>): void {
    const line = lineSchema.safeParse(raw);
    if (!line.success) return;
    const { status, id, progressDetail } = line.data;
    if (/^Status: Image is up to date/.test(status)) this.#upToDate = true;
    // `Pulling from NAME` has the tag as its id; all other lines with an id are about a layer.
    if (!id || /^Pulling from /.test(status) || /^Already exists/.test(status)) return;
    const layer = this.#layers.get(id) ?? { bytes: 0, total: 0, done: false };
    this.#layers.set(id, layer);
    if (status === 'Downloading' && progressDetail) {
      layer.bytes = progressDetail.current;
      layer.total = Math.max(progressDetail.total, layer.bytes);
    }
    if (/^(Download complete|Verifying Checksum|Extracting|Pull complete)/.test(status)) {
      layer.total ||= progressDetail?.total ?? 0;
      layer.bytes = layer.total;
    }
    layer.done ||= status === 'Pull complete';
  }

  /** `2 of 5 layers, 120 of 340 MB, 24.0 MB/s`. Layers that are here already do not count. */
  text(): string {
    const layers = [...this.#layers.values()];
    const done = layers.filter((layer) => layer.done).length;
    const [bytes, total] = [sum(layers, 'bytes'), sum(layers, 'total')];
    const seconds = (this.#now() - this.#startedAt) / 1000;
    return `${done} of ${layers.length} layers, ${megabytes(bytes)} of ${megabytes(total)} MB, ${megabytes(bytes / Math.max(seconds, 0.001))} MB/s`;
  }

  /** When it is over: `up to date`, or what came. */
  summary(): string {
    const seconds = ((this.#now() - this.#startedAt) / 1000).toFixed(1);
    if (this.#upToDate) return `up to date (${seconds} s)`;
    const layers = [...this.#layers.values()];
    return `${layers.length} new ${layers.length === 1 ? 'layer' : 'layers'}, ${megabytes(sum(layers, 'bytes'))} MB in ${seconds} s`;
  }
}

const sum = (layers: readonly Layer[], key: 'bytes' | 'total') =>
  layers.reduce((total, layer) => total + layer[key], 0);

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
