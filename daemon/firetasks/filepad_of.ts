/** The FilePad that a Firetask means: that of its `filepad_file`, else the one in the LaunchPad's database. */
import { resolve } from 'node:path';
import { FilePad, filePadIn, readFilePadFile } from '../../core/filepad/index.ts';
import { loadLaunchPadSettings } from '../../core/launchpad/index.ts';
import type { Flight } from './firetask.ts';

export async function filePadOf(flight: Flight, file: string | null | undefined): Promise<FilePad> {
  const settings = file
    ? readFilePadFile(resolve(flight.launchDir, file))
    : filePadIn(flight.launchPad ?? loadLaunchPadSettings(undefined, flight.env as NodeJS.ProcessEnv));
  return await FilePad.open(settings, flight.log);
}
