/** What a new worker VM is told about its LaunchPad, by metadata. */
import { UsageError } from '../../core/errors.ts';
import {
  findLaunchPadFile,
  type LaunchPadSettings,
  launchPadSettings,
  readLaunchPadFile,
} from '../../core/launchpad/index.ts';

/** Metadata from a LaunchPad file: that of its settings. `file` '' skips the file. */
export function launchPadMetadata(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  if (file === '') return {};
  const path = findLaunchPadFile(file, env);
  if (!path) return {};
  return settingsMetadata(launchPadSettings(readLaunchPadFile(path), path));
}

/**
 * As upstream: the database, user and password; the host only as a connection string, for a file's host may be a tunnel's end
 * on this machine. The VM's disk image knows the host; `-m host=...` overrides it.
 */
export function settingsMetadata(settings: LaunchPadSettings): Record<string, string> {
  return {
    db: settings.name,
    ...(settings.username !== undefined && { username: settings.username }),
    ...(settings.password !== undefined && { password: settings.password }),
    ...(settings.authsource !== undefined && { authsource: settings.authsource }),
    ...(settings.uriMode && { host: settings.host, uri_mode: 'true' }),
  };
}

/** Throws when a worker would not know its database: it would work on somebody else's. */
export function requireDatabase(metadata: Readonly<Record<string, string>>): void {
  if (metadata.db) return;
  throw new UsageError('The workers need a database: name a LaunchPad file with -l FILE, or give -m db=NAME');
}
