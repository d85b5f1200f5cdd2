import { readEndpoints } from '../core/cloud/endpoints.ts';
import type { Instance } from '../core/cloud/metadata.ts';
import { withSecrets } from '../core/cloud/secrets.ts';
import { findLaunchPadFile, readLaunchPadFile } from '../core/launchpad/index.ts';
import type { CommandLine } from './command_line.ts';
import { errorDeleteDelayMs, type WorkerSettings, workerSettings } from './settings.ts';

/**
 * This worker's settings, from the VM's metadata (with the secrets that it names) and the LaunchPad file. A file that -l names
 * must be there.
 */
export async function readSettings(
  line: CommandLine,
  instance: Instance | null,
  env = process.env,
): Promise<WorkerSettings> {
  const path = findLaunchPadFile(line.launchpadFile, env);
  const vm = instance && {
    ...instance,
    attributes: await withSecrets(instance.attributes, readEndpoints(env)),
  };
  return workerSettings({ instance: vm, file: path ? { values: readLaunchPadFile(path), path } : null, env });
}

/** How long this VM waits after an error, whatever else is wrong with its settings. */
export function readErrorDelayMs(instance: Instance | null, env = process.env): number {
  try {
    return errorDeleteDelayMs({ instance, file: null, env });
  } catch {
    return errorDeleteDelayMs({ instance: null, file: null });
  }
}
