import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import UNIT from '../systemd/fireworker.service' with { type: 'text' };

const LAUNCHPAD = `# The LaunchPad of a worker VM. Metadata attributes of the VM come before what stands here.
host: localhost
port: 27017
name: fireworks
username: null
password: null
logdir: null
strm_lvl: INFO
idle_for_rockets: 900
idle_for_waiters: 3600
`;

/** Writes the files that a disk image needs into a new folder and returns its path. */
export async function writeSetupFiles(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fireworker-setup-'));
  await writeFile(join(folder, 'fireworker.service'), UNIT);
  await writeFile(join(folder, 'my_launchpad.yaml'), LAUNCHPAD);
  return folder;
}
