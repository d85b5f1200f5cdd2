import { trackerData } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { launchesModeFlag, maxFlag, selectionFlags } from '../../lpad/flags.ts';
import { pythonRepr } from '../../lpad/python_text.ts';
import { selectedFireworks } from '../../lpad/select.ts';
import { showList } from '../../lpad/show.ts';
import { printLine } from '../../output.ts';

const command: LpadCommand = {
  summary: 'show the last lines of the files that Fireworks track (`_trackers` in their specs)',
  examples: ['lpad track_fws -i 12', 'lpad track_fws -s RUNNING -c run.log'],
  flags: [
    ...selectionFlags(),
    launchesModeFlag,
    { names: ['-c', '--include'], key: 'include', kind: 'texts', help: 'only these files' },
    { names: ['-x', '--exclude'], key: 'exclude', kind: 'texts', help: 'not these files' },
    maxFlag,
  ],
  async run(args, session) {
    const launchpad = await session.launchpad();
    const [include, exclude] = [args.texts('include'), args.texts('exclude')];
    const wanted = (name: string) =>
      (include.length === 0 || include.includes(name)) && !exclude.includes(name);
    async function* tracked() {
      for (const fw_id of await selectedFireworks(launchpad, args)) {
        const launches = (await trackerData(launchpad, fw_id))
          .map(({ launch_id, trackers }) => ({
            launch_id,
            trackers: trackers.filter(({ filename }) => wanted(filename)),
          }))
          .filter(({ trackers }) => trackers.length > 0);
        if (launches.length === 0) continue;
        const firework = await launchpad.fireworks.findOne({ fw_id }, { projection: { name: 1, _id: 0 } });
        yield { fw_id, name: String(firework?.name), launches };
      }
    }
    if (session.json) {
      await showList(tracked());
      return 0;
    }
    let first = true;
    for await (const { fw_id, name, launches } of tracked()) {
      if (!first) printLine('>------<');
      first = false;
      printLine(`# FW id: ${fw_id}, FW name=${pythonRepr(name)}`);
      for (const { launch_id, trackers } of launches)
        for (const { filename, content = '' } of trackers)
          printLine(`## Launch id: ${launch_id}\n### Filename: ${filename}\n${content}`);
    }
    return 0;
  },
};
export default command;
