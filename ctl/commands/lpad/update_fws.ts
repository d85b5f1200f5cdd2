import { messageOf, UsageError } from '../../../core/errors.ts';
import { control, type Doc, fromJson, isDoc } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { consentFlags, launchesModeFlag, selectionFlags } from '../../lpad/flags.ts';
import { selectedFireworks } from '../../lpad/select.ts';
import { printJson } from '../../output.ts';

const command: LpadCommand = {
  summary: 'change the spec of Fireworks that do not run',
  examples: [
    `lpad update_fws -i 12 -u '{"_tasks.0.script": "echo hello"}'`,
    `lpad update_fws -s FIZZLED -u '{"$unset": {"spec.old": ""}}' --mongo`,
  ],
  flags: [
    ...selectionFlags(),
    launchesModeFlag,
    {
      names: ['-u', '--update'],
      key: 'update',
      kind: 'text',
      help: `keys of the spec and their new values, as JSON: '{"_tasks.1.hello": "world"}'`,
    },
    {
      names: ['--mongo'],
      key: 'mongo',
      kind: 'switch',
      help: "the update is MongoDB's own ($set, $unset...) on the whole Firework",
    },
    ...consentFlags,
  ],
  async run(args, session) {
    const update = parseUpdate(args.need('update', `lpad update_fws: -u is missing: '{"key": value}'`));
    const asMongo = args.on('mongo');
    const operators = Object.keys(update).every((key) => key.startsWith('$'));
    if (asMongo !== operators)
      throw new UsageError(
        asMongo
          ? '-u: with --mongo every key is an operator: \'{"$set": {"spec.key": 1}}\''
          : '-u: operators such as $set need --mongo',
      );
    const launchpad = await session.launchpad();
    const ids = await selectedFireworks(launchpad, args);
    await session.confirm(ids.length, `update the specs of ${ids.length} Fireworks`, args);
    const refused = await control.updateSpecs(launchpad, ids, update, asMongo);
    for (const id of refused)
      session.log('WARNING', `Cannot update spec of fw_id: ${id}: it runs or has run. Try rerunning first.`);
    if (session.json) printJson({ fw_ids: ids.filter((id) => !refused.includes(id)), refused });
    return refused.length > 0 && args.ids('fw_id') ? 1 : 0;
  },
};
export default command;

function parseUpdate(text: string): Doc {
  let value: unknown;
  try {
    value = fromJson(text);
  } catch (thrown) {
    throw new UsageError(`-u ${text}: ${messageOf(thrown)}`);
  }
  if (isDoc(value) && Object.keys(value).length > 0) return value;
  throw new UsageError(`-u ${text}: an update is a dictionary, such as '{"key": "value"}'`);
}
