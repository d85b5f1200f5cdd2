import { defineCommand } from 'citty';
import { messageOf, UsageError } from '../../core/errors.ts';
import { type LaunchPadSettings, loadLaunchPadSettings } from '../../core/launchpad/index.ts';
import { SECOND, sleep } from '../../core/wait.ts';
import { everyValue } from '../command_line.ts';
import { makeVms, tellCreated } from '../fleet/create.ts';
import { demandOf } from '../fleet/demand.ts';
import { fit, freeNumbers, type Limits, type Move } from '../fleet/fit.ts';
import { dryRun, newVms, prefix } from '../fleet/flags.ts';
import { fleetVms, tellRequests } from '../fleet/fleet.ts';
import { MOST_AT_ONCE, wholeNumber } from '../fleet/names.ts';
import { type Plan, planOf } from '../fleet/plan.ts';
import { interruption } from '../interruption.ts';
import { note, printJsonLine } from '../output.ts';

export const examples = [
  'borealisctl scale demo --max 30 --once',
  'borealisctl scale demo --max 100 --min 2 --category gpu --follow --spot',
  'borealisctl scale demo --max 30 --once --dry-run',
];

const args = {
  ...prefix,
  max: { type: 'string', required: true, valueHint: 'N', description: 'never more VMs than this' },
  min: { type: 'string', default: '0', valueHint: 'N', description: 'never fewer, even with nothing to do' },
  once: { type: 'boolean', description: 'look once, act and end: for cron' },
  follow: { type: 'boolean', description: 'go on looking, until Ctrl-C' },
  category: {
    type: 'string',
    valueHint: 'C',
    description: 'count Fireworks of this category alone; may be repeated (default: all)',
  },
  'per-vm': { type: 'string', default: '1', valueHint: 'N', description: 'READY Fireworks for each VM' },
  cooldown: {
    type: 'string',
    default: '60',
    valueHint: 'SECS',
    description: 'after new VMs for so long no others',
  },
  every: {
    type: 'string',
    default: '15',
    valueHint: 'SECS',
    description: 'with --follow: how often to look',
  },
  ...newVms,
  ...dryRun,
  json: { type: 'boolean', description: 'a line of JSON for each decision' },
} as const;

export default defineCommand({
  meta: {
    name: 'scale',
    description: 'makes a fleet as large as the work that is READY; workers leave by themselves',
  },
  args,
  async run({ args: flags, rawArgs }) {
    if (Boolean(flags.once) === Boolean(flags.follow)) throw new UsageError('scale: give --once or --follow');
    const max = wholeNumber('max', flags.max, 0, MOST_AT_ONCE) as number;
    const limits: Limits = {
      max,
      min: wholeNumber('min', flags.min, 0, max, ' (--max)') as number,
      perVm: wholeNumber('per-vm', flags['per-vm'], 1, 1000) as number,
      cooldownMs: (wholeNumber('cooldown', flags.cooldown, 0, 86_400) as number) * SECOND,
    };
    const everyMs = (wholeNumber('every', flags.every, 1, 86_400) as number) * SECOND;
    const plan = planOf(flags, {
      options: everyValue(rawArgs, args, 'option'),
      metadata: everyValue(rawArgs, args, 'metadata'),
    });
    const settings = loadLaunchPadSettings(flags.launchpad || undefined);
    let said = '';
    const look = () =>
      lookAndAct({
        tell: (move, seen) => {
          if (flags.json) printJsonLine({ at: new Date().toISOString(), ...move, ...seen });
          // The same is not said again and again.
          else if (move.why !== said) note(move.why);
          said = move.why;
        },
        plan,
        limits,
        settings: { ...settings, name: plan.database ?? settings.name },
        categories: everyValue(rawArgs, args, 'category'),
      });
    if (flags.once) return await look();
    const { signal } = interruption();
    while (!signal.aborted) {
      // What passes is not the end of it: the next look may find all well.
      await look().catch((thrown) => note(`Trying again in ${flags.every} s: ${messageOf(thrown)}`));
      await sleep(everyMs, signal);
    }
    return 130;
  },
});

interface Look {
  plan: Plan;
  limits: Limits;
  settings: LaunchPadSettings;
  categories: readonly string[];
  tell: (move: Move, seen: object) => void;
}

async function lookAndAct({ plan, limits, settings, categories, tell }: Look): Promise<number> {
  const { fleet, creation } = plan;
  const vms = await fleetVms(fleet);
  const { demand, flying } = await demandOf(settings, categories, vms);
  const working = vms.filter(
    ({ status, metadata }) => /^(PROVISIONING|STAGING|RUNNING)$/.test(status) && metadata.quit !== 'soon',
  );
  const newest = vms.reduce<Date | null>(
    (last, { created }) => (created && (!last || created > last) ? created : last),
    null,
  );
  const move = fit(demand, { vms: working.length, flying, newest }, limits, new Date());
  tell(move, { ...demand, flying, vms: working.length });
  if (move.move === 'stay') return fleet.requests ? tellRequests([]) : 0;
  const numbers = freeNumbers(
    fleet.prefix,
    vms.map(({ name }) => name),
    move.count,
  );
  const names = numbers.map((n) => `${fleet.prefix}-${n}`);
  const results = await makeVms(fleet, creation(names), (text) => (fleet.requests ? undefined : note(text)));
  return fleet.requests ? tellRequests(fleet.requests.splice(0)) : await tellCreated(results, false);
}
