/** Whatever happens to a workflow, and after each thing that happens, its documents agree and its states follow the rules. */
import { test } from 'bun:test';
import fc from 'fast-check';
import { violations } from '../invariants.ts';
import { testPad } from '../test_pad.ts';
import { stories } from './story.ts';
import { tell } from './tell.ts';

test('random workflows keep every invariant', async () => {
  // As workers do: with launch ids in hand, a claim takes fewer steps.
  await using pad = await testPad({ launchIdsAhead: 4 });
  const { launchpad } = pad;
  await fc.assert(
    fc.asyncProperty(stories, async (story) => {
      for (const one of [launchpad.fireworks, launchpad.launches, launchpad.workflows])
        await one.deleteMany({});
      await tell(launchpad, story, async (step) => {
        const found = await violations(launchpad);
        if (found.length > 0) throw new Error(`after ${JSON.stringify(step)}:\n${found.join('\n')}`);
      });
    }),
    { numRuns: Number(process.env.BOREALIS_RANDOM_RUNS ?? 25) },
  );
}, 600_000);
