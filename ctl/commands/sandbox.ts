import { defineCommand } from 'citty';
import type { Commands } from '../command_line.ts';

export const subcommands: Commands = {
  up: () => import('./sandbox/up.ts'),
  down: () => import('./sandbox/down.ts'),
  status: () => import('./sandbox/status.ts'),
  run: () => import('./sandbox/run.ts'),
  preempt: () => import('./sandbox/preempt.ts'),
  mongo: () => import('./sandbox/mongo.ts'),
};

export default defineCommand({
  meta: { name: 'sandbox', description: 'a whole cloud in miniature on this machine, LaunchPad included' },
});
