/** Duplicate finders that are written in Python: asked by way of bridge.py, as its Firetasks are. */
import { BorealisError } from '../core/errors.ts';
import { type Doc, type DuplicateFinder, isDoc } from '../core/launchpad/index.ts';
import { askPython } from './firetasks/ask_python.ts';
import { FiretaskError } from './firetasks/firetask.ts';
import type { Pad } from './flight.ts';

export function duplicateFinder(pad: Pad): DuplicateFinder {
  const ask = async (question: Doc) => {
    const { stopNow: signal, log, ...crew } = pad;
    try {
      return await askPython({ ...crew, launchDir: process.cwd(), signal, log }, question);
    } catch (thrown) {
      if (!(thrown instanceof FiretaskError)) throw thrown;
      const { exception, message, traceback, details } = thrown;
      const name = String((question.finder as Doc)._fw_name);
      throw new FiretaskError(exception, `_dupefinder ${name}: ${message}`, details, traceback);
    }
  };
  return {
    async candidates(finder, spec) {
      const { query, verifies } = await ask({ finder, spec });
      if (!isDoc(query)) throw new BorealisError('_dupefinder: its query is no dictionary');
      return { query, verifies: verifies === true };
    },
    async areEqual(finder, spec, others) {
      return (await ask({ finder, spec, others })).equal as boolean[];
    },
  };
}
