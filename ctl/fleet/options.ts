/**
 * The `-o` options: flags of `gcloud compute instances create`, by their names there, that make sense for workers. In one
 * table, from which the guide's is made.
 * https://cloud.google.com/sdk/gcloud/reference/compute/instances/create
 */
import { UsageError } from '../../core/errors.ts';
import { hint } from '../../core/nearest.ts';

export type Options = Readonly<Record<string, string>>;

export const OPTIONS = {
  'machine-type': 'the machine type (`n1-standard-1`); `custom-4-10240` for one of your own',
  'custom-cpu': 'vCPUs of a machine type of your own; with `custom-memory`',
  'custom-memory': 'its memory: `10GB`, `3840MB`',
  'custom-extensions': 'more memory for each vCPU than the machine type has by default',
  'custom-vm-type': 'the family of a machine type of your own: `n2`',
  image: 'the disk image, instead of the newest of a family',
  'image-family': 'the image family, as `--family`',
  'image-project': 'the project that has the image (yours)',
  'source-snapshot': 'a snapshot to boot from, instead of an image',
  'boot-disk-size': 'size of the boot disk: `50GB`, `1TB` (the size of the image)',
  'boot-disk-type': 'type of the boot disk: `pd-standard`, `pd-balanced`, `pd-ssd`... (`pd-standard`)',
  'boot-disk-device-name': 'the name of the boot disk inside the VM',
  'boot-disk-provisioned-iops': 'for types that have it: IOPS of the boot disk',
  'boot-disk-provisioned-throughput': 'for types that have it: MB/s of the boot disk',
  'no-boot-disk-auto-delete': 'the boot disk stays when the VM is deleted, and costs',
  'local-ssd': 'a local SSD: `interface=nvme`, or `interface=nvme,count=2`',
  network: 'the network (`default`)',
  subnet: 'the subnet, in the region of the VM',
  'network-interface': 'both and more: `network=N,subnet=S,no-address,network-tier=T`',
  'no-address': 'no external address: the VM needs Cloud NAT to reach anything outside',
  'network-tier': '`PREMIUM` or `STANDARD` (`PREMIUM`)',
  'stack-type': '`IPV4_ONLY` or `IPV4_IPV6`',
  'can-ip-forward': 'the VM may send packets from other addresses',
  tags: 'network tags, with commas between them',
  'maintenance-policy':
    '`MIGRATE` or `TERMINATE` when the host is serviced (`MIGRATE` where that is possible)',
  'provisioning-model': '`SPOT` or `STANDARD`; `SPOT` as `--spot`',
  'instance-termination-action': '`DELETE` or `STOP`: of a spot VM, or after `max-run-duration` (`DELETE`)',
  'max-run-duration': 'as `--max-run-duration`: `8h`, `1d12h`, `3600s`',
  'termination-time': 'the same by the clock: `2026-11-25T18:00:00Z`',
  preemptible: "spot VMs' predecessor: at most 24 h",
  'restart-on-failure': 'Google starts the VM again when its host crashes (so it is)',
  'no-restart-on-failure': 'it does not',
  'service-account': "the service account (the project's default one)",
  'no-service-account': 'none: such a worker can reach nothing of Google Cloud',
  scopes: 'what the service account may do, with commas between them: short names or addresses',
  'no-scopes': 'the same as `no-service-account`',
  metadata: 'attributes: `a=1,b=2`; `-m` comes first',
  'metadata-from-file': 'attributes from files: `startup-script=FILE`',
  labels: 'labels: `team=x,cost=y`',
  description: "the VMs' description",
  'min-cpu-platform': 'the oldest CPU: `Intel Skylake`',
  accelerator: 'GPUs: `type=nvidia-tesla-t4,count=1`',
  'threads-per-core': '1 turns hyper-threading off',
  'visible-core-count': 'so many cores of the machine type',
  'enable-nested-virtualization': 'VMs inside the VM',
  'shielded-secure-boot': 'Shielded VM: secure boot; also `no-shielded-secure-boot`',
  'no-shielded-secure-boot': '',
  'shielded-vtpm': 'Shielded VM: virtual TPM; also `no-shielded-vtpm`',
  'no-shielded-vtpm': '',
  'shielded-integrity-monitoring': 'Shielded VM: integrity monitoring; also `no-...`',
  'no-shielded-integrity-monitoring': '',
  'confidential-compute-type': '`SEV`, `SEV_SNP` or `TDX`',
  'reservation-affinity': '`any`, `none` or `specific`; with `reservation`',
  reservation: 'the reservation whose VMs these are',
  'resource-policies': 'resource policies, with commas between them',
  'min-node-cpu': 'on sole-tenant nodes: the fewest CPUs',
  'key-revocation-action-type': '`none` or `stop`',
  project: 'as `--project`',
  zone: 'as `--zone`',
  quiet: 'no effect: nobody is asked',
} as const satisfies Record<string, string>;

export type OptionName = keyof typeof OPTIONS;

/** Throws UsageError for an option that nobody knows. */
export function checkOptions(options: Options): void {
  const known = Object.keys(OPTIONS);
  for (const name of Object.keys(options))
    if (!Object.hasOwn(OPTIONS, name))
      throw new UsageError(`-o ${name}: unknown option${hint(name, known)}. Known: ${known.join(', ')}`);
}

/** Whether an option that needs no value is set: `-o preemptible`, `-o preemptible=true`. */
export const isSet = (options: Options, name: OptionName) => name in options && options[name] !== 'false';

/** A switch with its opposite: true, false, or nothing said. */
export function switchOf(options: Options, name: OptionName & `${string}`): boolean | undefined {
  if (`no-${name}` in options) return false;
  return name in options ? isSet(options, name) : undefined;
}

/** `a=1,b` as a dictionary; a word alone has the value ''. */
export function partsOf(text: string): Record<string, string> {
  const pairs = text.split(',').filter(Boolean);
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', value = ''] = pair.split(/=(.*)/s);
      return [key.trim(), value.trim()];
    }),
  );
}

export const listOf = (text: string) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);

/** gcloud's sizes in gigabytes: `50`, `50GB`, `1TB`, `3840MB`. Throws UsageError. */
export function gigabytes(option: OptionName, text: string): number {
  const [, number, unit = 'GB'] = /^(\d+(?:\.\d+)?)\s*(MB|MiB|GB|GiB|TB|TiB)?$/i.exec(text) ?? [];
  if (number === undefined) throw new UsageError(`-o ${option}=${text}: must be a size such as 50GB`);
  const factor = { m: 1 / 1024, g: 1, t: 1024 }[unit[0]?.toLowerCase() as 'm' | 'g' | 't'];
  return Number(number) * factor;
}

/** A whole number of an option. Throws UsageError. */
export function whole(option: OptionName, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`-o ${option}=${text}: must be a whole number`);
}

/** One of the words that an option takes, in capitals. Throws UsageError. */
export function oneOf(option: OptionName, text: string, words: readonly string[]): string {
  const word = text.toUpperCase().replaceAll('-', '_');
  if (words.includes(word)) return word;
  throw new UsageError(`-o ${option}=${text}: it is one of ${words.join(', ')}${hint(word, words)}`);
}

/** Compute's limits of a run's length. https://cloud.google.com/compute/docs/instances/limit-vm-runtime */
const SHORTEST_RUN_SECS = 30;
const LONGEST_RUN_SECS = 120 * 24 * 3600;

/** Seconds of gcloud's durations: `30s`, `8h`, `1d12h`, `90` (seconds). Throws UsageError. */
export function runSeconds(text: string): number {
  const [all, days, hours, minutes, seconds] =
    /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?$/.exec(text.trim().toLowerCase()) ?? [];
  if (!all) throw new UsageError(`--max-run-duration ${text}: must be a duration such as 8h or 1d12h`);
  const parts = [days, hours, minutes, seconds].map((part) => Number(part ?? 0));
  const [d = 0, h = 0, m = 0, s = 0] = parts;
  const total = ((d * 24 + h) * 60 + m) * 60 + s;
  if (total >= SHORTEST_RUN_SECS && total <= LONGEST_RUN_SECS) return total;
  throw new UsageError(`--max-run-duration ${text}: must be from 30s to 120d`);
}
