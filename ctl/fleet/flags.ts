/** Flags that all fleet commands share. */
import type { ArgsDef } from 'citty';

export const prefix = {
  prefix: {
    type: 'positional',
    required: false,
    description: "the fleet's name, which begins its VMs' names (default: fireworker-$USER)",
  },
} as const satisfies ArgsDef;

export const place = {
  project: { type: 'string', description: 'the Google Cloud project (default: as gcloud is configured)' },
  zone: { type: 'string', description: 'the Compute Engine zone (default: as gcloud is configured)' },
} as const satisfies ArgsDef;

export const range = {
  base: {
    type: 'string',
    alias: 'b',
    valueHint: 'N',
    description: 'the number of the first VM (default: 0)',
  },
  count: {
    type: 'string',
    alias: 'c',
    valueHint: 'N',
    description: 'how many VMs (default: all of the fleet)',
  },
} as const satisfies ArgsDef;

export const asJson = {
  json: { type: 'boolean', description: 'print the results as JSON' },
} as const satisfies ArgsDef;
