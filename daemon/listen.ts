import { readFileSync } from 'node:fs';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Cloud } from './cloud.ts';
import type { Stopping } from './stopping.ts';

/** What signals have asked for. */
export interface Signals {
  /** Ctrl-C. */
  readonly interrupted: boolean;
  /** A person ends the worker (Ctrl-C, `systemctl stop`), not the cloud its VM: the VM is left to that person. */
  readonly stay: boolean;
}

/** Ctrl-C, SIGTERM and a terminal that is closed give the rockets back and stop; a second one hastens that, a third ends the process where it stands. */
export function listenToSignals(stopping: Stopping): Signals {
  const heard = { interrupted: false, stay: false };
  let count = 0;
  const onSignal = (name: NodeJS.Signals) => {
    count++;
    if (name === 'SIGINT') heard.interrupted = true;
    if (count === 2) return stopping.hasten(name);
    if (count > 2) {
      stopping.log.warning(`${name} once more: leaving. What is in flight will be found lost and rerun`);
      process.exit(heard.interrupted ? 2 : 1);
    }
    // After the notice of preemption the SIGTERM is the VM's own end.
    if (!stopping.now.aborted) heard.stay = true;
    stopping.ask(name === 'SIGINT' ? 'Ctrl-C' : name, 'now');
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  // A terminal that is closed ends the worker as SIGTERM does, unless it was started to outlive that (nohup).
  if (!ignoresHangUp()) process.on('SIGHUP', onSignal);
  return heard;
}

/** Whether whoever started this process has it ignore SIGHUP, which is signal 1. Known on Linux alone. */
function ignoresHangUp(): boolean {
  try {
    const [, mask = '0'] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
    return (BigInt(`0x${mask}`) & 1n) === 1n;
  } catch {
    return false;
  }
}

/** Whether the cloud is taking this VM back. */
export async function isPreempted({ instance, metadata }: Cloud): Promise<boolean> {
  return instance !== null && (await metadata.get('instance/preempted').catch(() => null)) === 'TRUE';
}

/** Listens for `quit` and for preemption, by one hanging request, until `until` aborts. */
export async function watchMetadata(
  cloud: Cloud,
  stopping: Stopping,
  log: Logger,
  until: AbortSignal,
): Promise<void> {
  if (!cloud.instance) return;
  await cloud.metadata.watch({
    signal: until,
    onChange: ({ attributes: { quit }, preempted }) => {
      if (preempted) stopping.ask('this VM is being preempted', 'now');
      if (quit === 'soon') stopping.ask('quit=soon was asked for', 'when they land');
      else if (quit === 'when-idle') stopping.askWhenIdle();
      else if (quit) log.warning(`quit=${quit} (VM metadata) is not known: use soon or when-idle`);
    },
    onTrouble: (thrown) => log.debug(`The metadata server does not answer: ${messageOf(thrown)}`),
  });
}
