import type { Instance } from '../core/cloud/metadata.ts';
import { findLaunchPadFile, readLaunchPadFile } from '../core/launchpad/index.ts';
import type { CommandLine } from './command_line.ts';
import { errorDeleteDelayMs, type WorkerSettings, workerSettings } from './settings.ts';

/** This worker's settings, from the VM's metadata and the LaunchPad file. A file that -l names must be there. */
export function readSettings(
  line: CommandLine,
  instance: Instance | null,
  env = process.env,
): WorkerSettings {
  const path = findLaunchPadFile(line.launchpadFile, env);
  return workerSettings({ instance, file: path ? { values: readLaunchPadFile(path), path } : null, env });
}

/** How long this VM waits after an error, whatever else is wrong with its settings. */
export function readErrorDelayMs(instance: Instance | null, env = process.env): number {
  try {
    return errorDeleteDelayMs({ instance, file: null, env });
  } catch {
    return errorDeleteDelayMs({ instance: null, file: null });
  }
}
