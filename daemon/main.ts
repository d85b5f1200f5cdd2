#!/usr/bin/env bun
/**
 * fireworker: pulls Fireworks from a LaunchPad and runs them, one VM's worth, until there is a reason to stop; then the
 * VM deletes itself.
 */
import { BorealisError, messageOf, UsageError } from '../core/errors.ts';
import { loggerTo } from '../core/log.ts';
import { version } from '../core/version.ts';
import { openCloud } from './cloud.ts';
import { type CommandLine, helpText, parseCommandLine } from './command_line.ts';
import { consoleSink, fileSink } from './console_log.ts';
import { goHome } from './go_home.ts';
import { isPreempted, listenToSignals, watchMetadata } from './listen.ts';
import { openPad } from './pad.ts';
import { readErrorDelayMs, readSettings } from './read_settings.ts';
import { writeSetupFiles } from './setup.ts';
import { Stopping } from './stopping.ts';
import { work } from './worker.ts';

/** Exit codes are upstream's: 0 done, 1 an error, 2 Ctrl-C (and bad usage, before anything has started). */
const INTERRUPTED = 2;

async function main(line: CommandLine): Promise<number> {
  const cloud = await openCloud();
  const name = line.name ?? cloud.hostName;
  const logging = cloud.log(name);
  const sinks = [consoleSink({ level: 'INFO', json: line.jsonLogs }), ...(logging ? [logging.sink] : [])];
  const log = loggerTo(sinks, { worker: name });

  const stopping = new Stopping(log);
  const ears = new AbortController();
  const signals = listenToSignals(stopping);
  let exitCode = 0;
  try {
    const settings = await readSettings(line, cloud.instance);
    sinks[0] = consoleSink({ level: settings.strmLvl, json: line.jsonLogs });
    if (settings.logdir) sinks.push(fileSink(settings.logdir, settings.strmLvl));
    await using pad = await openPad({ name: line.name, settings, cloud, stopping, log });
    log.info(`fireworker ${version} on ${name}: pulling from the LaunchPad ${pad.where}`);
    if (settings.quit === 'soon') stopping.ask('quit=soon was asked for', 'after this rocket');
    if (settings.quit === 'when-idle') stopping.askWhenIdle();
    const watching = watchMetadata(cloud, stopping, log, ears.signal);
    const { why, landings } = await work(pad, stopping, {
      ...settings,
      once: line.once,
      launchDir: pad.launchDir,
    });
    ears.abort();
    await watching;
    log.info(
      `Stopped: ${why}. Fireworks completed ${landings.completed}, fizzled ${landings.fizzled}, given back ${landings.givenUp + landings.lost}`,
    );
    if (signals.interrupted) exitCode = INTERRUPTED;
  } catch (thrown) {
    if (thrown instanceof UsageError && !cloud.instance) throw thrown;
    exitCode = thrown instanceof BorealisError ? thrown.exitCode : 1;
    log.error(
      `Stopped by an error: ${messageOf(thrown)}`,
      thrown instanceof Error && !(thrown instanceof BorealisError) ? { stack: thrown.stack } : undefined,
    );
  }
  ears.abort();
  await goHome({
    cloud,
    log,
    exitCode,
    errorDelayMs: readErrorDelayMs(cloud.instance),
    // A preempted VM is also told to stop by a signal, which may come before the notice.
    stay: async () => line.development || (signals.stay && !(await isPreempted(cloud))),
    hastened: stopping.now,
  });
  await logging?.flush(5000);
  return exitCode;
}

if (import.meta.main) {
  try {
    const line = parseCommandLine(process.argv.slice(2));
    if (line.action === 'help') console.log(helpText());
    else if (line.action === 'version') console.log(`fireworker ${version}`);
    else if (line.action === 'setup') console.log(await writeSetupFiles());
    else process.exit(await main(line));
  } catch (thrown) {
    console.error(thrown instanceof UsageError ? `error: ${thrown.message}` : thrown);
    process.exit(thrown instanceof UsageError ? thrown.exitCode : 1);
  }
}
