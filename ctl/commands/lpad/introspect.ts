import { introspect, SUBJECTS } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { introspectionText } from '../../lpad/introspection_text.ts';
import { printJson, printLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'what recent FIZZLED runs have in common that COMPLETED ones have not',
  examples: ['lpad introspect', 'lpad introspect -m 1000 -t 25'],
  flags: [
    {
      names: ['-m', '--max'],
      key: 'max',
      kind: 'integer',
      standard: 100,
      help: 'look at so many of each (0: all)',
    },
    {
      names: ['-t', '--threshold'],
      key: 'threshold',
      kind: 'integer',
      standard: 10,
      help: 'tell only differences of at least so many percent',
    },
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const options = { limit: args.number('max'), threshold: args.number('threshold') };
    if (session.json) {
      const found = [];
      for (const subject of SUBJECTS)
        found.push([subject, await introspect(launchpad, subject, options)] as const);
      printJson(Object.fromEntries(found));
      return 0;
    }
    printLine('NOTE: This feature is in beta mode...');
    for (const subject of SUBJECTS) {
      printLine(`generating report for ${subject}...please wait...\n`);
      printLine(introspectionText(subject, await introspect(launchpad, subject, options)));
      printLine();
    }
    return 0;
  },
};
export default command;
