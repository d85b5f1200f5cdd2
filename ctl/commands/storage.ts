import { defineCommand } from 'citty';
import type { CommandModule } from '../command_line.ts';

/** A look into storage without gcloud, which an emulator need not be explained to. */
export const subcommands: Record<string, () => Promise<CommandModule>> = {
  ls: () => import('./storage/ls.ts'),
  cat: () => import('./storage/cat.ts'),
  cp: () => import('./storage/cp.ts'),
};

export default defineCommand({
  meta: { name: 'storage', description: 'lists, shows and copies objects of Cloud Storage' },
});
