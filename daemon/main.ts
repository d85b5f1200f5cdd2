#!/usr/bin/env bun
/**
 * fireworker: pulls Fireworks from a LaunchPad and runs them, one VM's worth, until there is a reason to stop; then the
 * VM deletes itself.
 */
import { hostname } from 'node:os';
import { BorealisError, messageOf, UsageError } from '../core/errors.ts';
import { version } from '../core/version.ts';
import { SECOND } from '../core/wait.ts';
import { Aloft } from './aloft.ts';
import { openCloud } from './cloud.ts';
import { type CommandLine, helpText, parseCommandLine } from './command_line.ts';
import { goHome } from './go_home.ts';
import { isPreempted, listenToSignals, watchMetadata } from './listen.ts';
import { runOffline } from './offline.ts';
import { openPad } from './pad.ts';
import { readErrorDelayMs, readSettings } from './read_settings.ts';
import { roomHere } from './room.ts';
import { writeSetupFiles } from './setup.ts';
import { Stopping } from './stopping.ts';
import { Systemd } from './systemd.ts';
import { work } from './worker.ts';
import { WorkerLog } from './worker_log.ts';

/** Exit codes are upstream's: 0 done, 1 an error, 2 Ctrl-C (and bad usage, before anything has started). */
const INTERRUPTED = 2;
/** And one that systemd starts again (systemd/fireworker.service): a fault of the worker, as if a signal had killed it. */
const CRASHED = 70;

async function main(line: CommandLine): Promise<number> {
  const cloud = await openCloud();
  const name = line.name ?? cloud.hostName;
  const said = new WorkerLog({ worker: name, json: line.jsonLogs, cloud });
  const { log } = said;
  said.tellDeath(CRASHED);

  const stopping = new Stopping(log);
  const aloft = new Aloft();
  const systemd = await Systemd.open({ log, status: () => aloft.status(stopping.reason) });
  const ears = new AbortController();
  const signals = listenToSignals(stopping);
  stopping.leave.addEventListener('abort', () => void leave(said, signals.interrupted ? INTERRUPTED : 1));
  let exitCode = 0;
  try {
    const settings = await readSettings(line, cloud.instance);
    said.obey(settings);
    await using pad = await openPad({ name: line.name, settings, cloud, stopping, log });
    systemd?.ready();
    log.info(`fireworker ${version} on ${name}: pulling from the LaunchPad ${pad.where}`);
    if (settings.quit === 'soon') stopping.ask('quit=soon was asked for', 'when they land');
    if (settings.quit === 'when-idle') stopping.askWhenIdle();
    if (line.timeoutSecs !== undefined) stopping.askAfter(line.timeoutSecs);
    const watching = watchMetadata(cloud, stopping, log, ears.signal);
    const { landings } = await work(pad, stopping, {
      ...settings,
      once: line.once,
      nlaunches: line.nlaunches,
      room: roomHere(line.slots ?? settings.slots),
      onSpot: cloud.instance?.spot
        ? { maxPreemptions: settings.maxPreemptions, waitMs: settings.preemptedWaitMs }
        : null,
      launchDir: pad.launchDir,
      disk: pad.disk,
      aloft,
    });
    ears.abort();
    await watching;
    log.info(
      `Stopped. Fireworks completed ${landings.completed}, fizzled ${landings.fizzled}, given back ${landings.givenUp}, taken away ${landings.lost}`,
    );
    if (signals.interrupted) exitCode = INTERRUPTED;
  } catch (thrown) {
    if (thrown instanceof UsageError && !cloud.instance) throw thrown;
    exitCode = thrown instanceof BorealisError ? thrown.exitCode : 1;
    log.error(
      `Stopped by an error: ${messageOf(thrown)}`,
      thrown instanceof Error && !(thrown instanceof BorealisError) ? { stack: thrown.stack } : undefined,
    );
    systemd?.failed(messageOf(thrown), readErrorDelayMs(cloud.instance));
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
  systemd?.stopping();
  await said.flush(5 * SECOND);
  return exitCode;
}

/** One rocket in this folder, without a LaunchPad and without a cloud. */
async function offline(line: CommandLine): Promise<number> {
  const name = line.name ?? hostname();
  const said = new WorkerLog({ worker: name, json: line.jsonLogs, cloud: null });
  const { log } = said;
  const stopping = new Stopping(log);
  const signals = listenToSignals(stopping);
  try {
    await runOffline({ name: line.name, fwId: line.fwId, folder: process.cwd(), stopping, log });
  } catch (thrown) {
    if (!(thrown instanceof BorealisError)) throw thrown;
    log.error(thrown.message);
    return thrown.exitCode;
  } finally {
    await said.flush(SECOND);
  }
  return signals.interrupted ? INTERRUPTED : 0;
}

/** Whatever hangs, whoever told this worker to stop waits no longer. */
async function leave(said: WorkerLog, exitCode: number): Promise<void> {
  said.log.error(
    'Not everything has ended in time: leaving. What is in flight will be found lost, and rerun',
  );
  await said.flush(SECOND);
  process.exit(exitCode);
}

if (import.meta.main) {
  try {
    const line = parseCommandLine(process.argv.slice(2));
    if (line.action === 'help') console.log(helpText());
    else if (line.action === 'version') console.log(`fireworker ${version}`);
    else if (line.action === 'setup') console.log(await writeSetupFiles());
    else process.exit(await (line.offline ? offline(line) : main(line)));
  } catch (thrown) {
    console.error(thrown instanceof UsageError ? `error: ${thrown.message}` : thrown);
    process.exit(thrown instanceof BorealisError ? thrown.exitCode : CRASHED);
  }
}
