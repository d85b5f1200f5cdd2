/** Waits for Ctrl-C or SIGTERM; `hasten` is called for the second one. Returns the name of the first. */
export function untilStopped(hasten?: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (stopping) hasten?.();
      stopping = true;
      resolve(signal);
    };
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  });
}
