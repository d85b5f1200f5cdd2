/** The sandbox's Cloud Storage as a process of its own: storage_server.ts DIR prints its address, and serves until it is ended. */
import { startGcp } from '../sandbox/gcp/index.ts';

if (import.meta.main) {
  const [dir = ''] = process.argv.slice(2);
  const { env } = await startGcp({ dir, fireworker: ['false'], launchpadFile: '', md5: false });
  process.stdout.write(`${env.STORAGE_EMULATOR_HOST}\n`);
}
