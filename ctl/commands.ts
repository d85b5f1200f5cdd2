/** Every command of borealisctl. Each is loaded when it is asked for: `--version` must not wait for the cloud's libraries. */
import type { Commands } from './command_line.ts';

export const COMMANDS: Commands = {
  up: () => import('./commands/up.ts'),
  run: () => import('./commands/run.ts'),
  scale: () => import('./commands/scale.ts'),
  ps: () => import('./commands/ps.ts'),
  logs: () => import('./commands/logs.ts'),
  'quit-soon': () => import('./commands/quit_soon.ts'),
  'quit-when-idle': () => import('./commands/quit_when_idle.ts'),
  'set-metadata': () => import('./commands/set_metadata.ts'),
  down: () => import('./commands/down.ts'),
  gce: () => import('./commands/gce.ts'),
  lpad: () => import('./commands/lpad.ts'),
  storage: () => import('./commands/storage.ts'),
  watch: () => import('./commands/watch.ts'),
  doctor: () => import('./commands/doctor.ts'),
  tunnel: () => import('./commands/tunnel.ts'),
  sandbox: () => import('./commands/sandbox.ts'),
  completion: () => import('./commands/completion.ts'),
};

/** Names under which the binary is one of its commands. */
export const OWN_NAMES = ['lpad', 'gce'];
