/** Flags that fleet commands share. */
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

export const dryRun = {
  'dry-run': {
    type: 'boolean',
    alias: 'd',
    description: "show the API's requests, without secrets, instead of making them",
  },
} as const satisfies ArgsDef;

export const launchpadFile = {
  launchpad: {
    type: 'string',
    alias: 'l',
    valueHint: 'FILE',
    description: "the LaunchPad file, as lpad finds it ('' for none)",
  },
} as const satisfies ArgsDef;

/** What new VMs are, and where. */
export const newVms = {
  family: { type: 'string', alias: 'f', default: 'fireworker', description: 'the image family to boot' },
  launchpad: {
    type: 'string',
    alias: 'l',
    valueHint: 'FILE',
    description: "the LaunchPad file whose database, user and password the workers get ('' for none)",
  },
  metadata: {
    type: 'string',
    alias: 'm',
    valueHint: 'KEY=VALUE',
    description:
      'a metadata attribute; may be repeated. A value secret:projects/P/secrets/S is read on the VM, from Secret Manager',
  },
  option: {
    type: 'string',
    alias: 'o',
    valueHint: 'KEY=VALUE',
    description: 'an option of gcloud compute instances create; may be repeated',
  },
  spot: { type: 'boolean', description: 'spot VMs: far cheaper, and Google may take them back' },
  'max-run-duration': {
    type: 'string',
    valueHint: 'TIME',
    description: 'Google deletes each VM after so long, whatever it does: 8h, 1d12h',
  },
  'startup-script': {
    type: 'string',
    valueHint: 'FILE',
    description: 'a script that each VM runs when it boots',
  },
  project: place.project,
  zone: {
    type: 'string',
    valueHint: 'Z',
    description: 'the zone, or several (a,b,c): what one has no room for is asked of the next',
  },
  region: { type: 'string', valueHint: 'R', description: 'a region: Google chooses one of its zones' },
  'any-zone': { type: 'boolean', description: 'in a region: each VM in any zone that has room' },
} as const satisfies ArgsDef;
