import { defineCommand } from 'citty';
import { BorealisError } from '../../core/errors.ts';
import { asJson, place } from '../fleet/flags.ts';
import { openFleet } from '../fleet/fleet.ts';
import { wholeNumber } from '../fleet/names.ts';
import { inForeground } from '../foreground.ts';
import { note, printJson, printLine } from '../output.ts';

export const examples = [
  'borealisctl tunnel',
  'borealisctl tunnel my-mongo --iap --port 27018',
  'borealisctl tunnel my-mongo --dry-run',
];

export default defineCommand({
  meta: {
    name: 'tunnel',
    description: 'an ssh tunnel from this machine to a MongoDB VM, by gcloud, until Ctrl-C',
  },
  args: {
    vm: {
      type: 'positional',
      required: false,
      default: 'mongodb',
      description: 'the VM that MongoDB runs on',
    },
    port: { type: 'string', default: '27017', valueHint: 'N', description: 'the port on this machine' },
    'remote-port': {
      type: 'string',
      default: '27017',
      valueHint: 'N',
      description: "MongoDB's port on the VM",
    },
    iap: {
      type: 'boolean',
      description: 'through Identity-Aware Proxy: for a VM without an external address',
    },
    'dry-run': { type: 'boolean', alias: 'd', description: 'print the command instead of running it' },
    ...place,
    ...asJson,
  },
  async run({ args }) {
    const port = wholeNumber('port', args.port, 1, 65_535) as number;
    const remote = wholeNumber('remote-port', args['remote-port'], 1, 65_535) as number;
    const { compute } = openFleet({ project: args.project, zone: args.zone, prefix: 'any' });
    const [vm] = await compute.list(`name="${args.vm.replaceAll('"', '')}"`);
    if (!vm)
      throw new BorealisError(
        `There is no VM ${args.vm} in project ${compute.project}. Which VMs there are: gcloud compute instances list`,
      );
    const command = [
      ...['gcloud', 'compute', 'ssh', vm.name, `--project=${compute.project}`, `--zone=${vm.zone}`],
      ...(args.iap ? ['--tunnel-through-iap'] : []),
      '--',
      // 127.0.0.1, not localhost: where the port is taken ssh would go to IPv6, and nobody would find it there.
      ...['-o', 'ExitOnForwardFailure=yes', '-nNT', '-L', `127.0.0.1:${port}:localhost:${remote}`],
    ];
    if (args['dry-run']) {
      if (args.json) printJson(command);
      else printLine(command.join(' '));
      return 0;
    }
    note(
      `MongoDB of ${vm.name} is on 127.0.0.1:${port} until Ctrl-C. In my_launchpad.yaml: host: 127.0.0.1, port: ${port}`,
    );
    const code = await inForeground(command);
    if (code === 127) note('Install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install');
    return code;
  },
});
