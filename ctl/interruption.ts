/** Ctrl-C, and SIGTERM, for commands that go on until then. */

/** Aborted at the first of them. What does not end soon after is ended: a question that nobody answers is not waited for. */
export function interruption(): AbortController {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      controller.abort();
      setTimeout(() => process.exit(130), 500).unref();
    });
  }
  return controller;
}
