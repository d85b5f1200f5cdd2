/** What a DockerTask may say: upstream's parameters, and those that are ours. docs/docker-task.md tells of each. */
import * as z from 'zod';
import { byteSize } from '../docker/memory.ts';
import { flag } from './firetask.ts';
import { words } from './script.ts';

const word = z.union([z.string(), z.number()]).transform(String);
const times = z
  .number()
  .int()
  .min(0)
  .max(100)
  .nullish()
  .transform((n) => n ?? 0);

const fields = z.looseObject({
  name: z.string().min(1),
  image: z.string().regex(/^\w[\w.\-/:@]*$/, 'must be the name of an image, such as gcr.io/project/tool:1'),
  command: z.union([z.string(), z.array(word)]).nullish(),
  internal_prefix: z.string().startsWith('/'),
  storage_prefix: z.string().min(1),
  inputs: z.array(z.string()).nullish(),
  outputs: z.array(z.string()).nullish(),
  /** Seconds. */
  timeout: z
    .number()
    .positive()
    .nullish()
    .transform((seconds) => seconds ?? 3600),
  // What follows is ours.
  /** Whether the registry is asked. Upstream always does. */
  pull: z.enum(['always', 'missing', 'never']).default('always'),
  /** A Firetask in Python that the image runs, instead of a command. */
  firetask: z.looseObject({ _fw_name: z.string().min(1) }).nullish(),
  /** A JSON FWAction that the container writes; a path below internal_prefix. */
  fwaction: z.string().nullish(),
  env: z
    .record(z.string().regex(/^[^=\0]+$/), z.union([z.string(), z.number(), z.boolean()]).transform(String))
    .nullish(),
  workdir: z.string().startsWith('/', 'must be an absolute path in the container').nullish(),
  entrypoint: z.union([z.string().transform(words), z.array(word)]).nullish(),
  memory: byteSize.nullish(),
  cpus: z.number().positive().nullish(),
  gpus: z.union([z.literal('all'), z.number().int().positive(), z.array(z.string()).min(1)]).nullish(),
  shm_size: byteSize.nullish(),
  network: z.string().min(1).nullish(),
  /** How often a command that fails is run again. */
  retries: times,
  /** How often one that had too little memory is run again with twice as much. */
  retry_on_oom: times,
  /** Whether outputs of an earlier run with the same image, parameters and inputs will do. */
  cache: flag(false),
});

export const dockerTaskParams = fields
  .refine(({ command, firetask }) => (command == null) !== (firetask == null), {
    path: ['command'],
    error: 'a task has either a command or a firetask',
  })
  .refine(({ fwaction, firetask }) => fwaction == null || firetask == null, {
    path: ['fwaction'],
    error: 'a firetask returns its FWAction, and writes it to no file',
  });

export type DockerTaskParams = z.infer<typeof dockerTaskParams>;
