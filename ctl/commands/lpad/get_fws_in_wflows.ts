import type { Document } from 'mongodb';
import { UsageError } from '../../../core/errors.ts';
import { type Doc, type LaunchPad, numberOf } from '../../../core/launchpad/index.ts';
import type { LpadCommand } from '../../lpad/command.ts';
import { showFireworks } from '../../lpad/firework_view.ts';
import { displayFlag, launchesModeFlag, orderFlags, qidFlag, selectionFlags } from '../../lpad/flags.ts';
import {
  fireworkIds,
  idsByLaunch,
  idsByReservation,
  type Order,
  orderOf,
  queryOf,
} from '../../lpad/select.ts';

const command: LpadCommand = {
  summary: 'show Fireworks of workflows, both selected',
  examples: [
    'lpad get_fws_in_wflows -wfn "my workflow" -fws FIZZLED',
    `lpad get_fws_in_wflows -wfq '{"metadata.kind": "test"}' -d count`,
  ],
  flags: [
    ...selectionFlags('wf'),
    ...selectionFlags('fw'),
    launchesModeFlag,
    qidFlag,
    displayFlag('less'),
    ...orderFlags,
  ],
  async run(args, session) {
    const wfQuery = queryOf(args, { prefix: 'wf', idField: 'nodes', one: true });
    const fwQuery = queryOf(args, { prefix: 'fw', idField: 'fw_id', one: true });
    const qid = args.text('qid');
    if (qid !== undefined && (args.values.has('fw_fw_id') || args.values.has('fw_name')))
      throw new UsageError('Give one of fw_fw_id, fw_name and qid');
    const order = orderOf(args);
    const launchpad = await session.launchpad();
    if (qid !== undefined) fwQuery.fw_id = { $in: await idsByReservation(launchpad, qid) };
    const ids = await idsIn(launchpad, wfQuery, fwQuery, order, args.on('launches_mode'));
    const display = args.text('display_format') as string;
    await showFireworks(launchpad, ids, display, session.output);
    return 0;
  },
};
export default command;

/** Ids alone are held: those of 100,000 Fireworks are less than a megabyte. */
async function idsIn(
  launchpad: LaunchPad,
  wfQuery: Doc,
  fwQuery: Doc,
  order: Order,
  byLaunch: boolean,
): Promise<number[]> {
  const find = byLaunch ? idsByLaunch : fireworkIds;
  const within = (nodes: number[]) => ({ $and: [fwQuery, { fw_id: { $in: nodes } }] });
  const ids: number[] = [];
  const nodes: number[] = [];
  const workflows = launchpad.workflows.find(wfQuery as Document, { projection: { nodes: 1, _id: 0 } });
  for await (const workflow of workflows) {
    nodes.push(...(workflow.nodes as unknown[]).map(numberOf));
    if (order.sort || nodes.length < 2000) continue;
    ids.push(...(await find(launchpad, within(nodes.splice(0)), order)));
    if (order.limit > 0 && ids.length >= order.limit) break;
  }
  if (nodes.length > 0) ids.push(...(await find(launchpad, within(nodes), order)));
  return order.limit > 0 ? ids.slice(0, order.limit) : ids;
}
