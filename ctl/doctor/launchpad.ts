/** The LaunchPad, as workers need it: it answers, strangers cannot come in, and its versions and clock fit. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { BorealisError, messageOf } from '../../core/errors.ts';
import {
  describeLaunchPad,
  findLaunchPadFile,
  LaunchPad,
  type LaunchPadSettings,
  launchPadSettings,
  readLaunchPadFile,
} from '../../core/launchpad/index.ts';
import { clockFinding } from './clock.ts';
import { type DoctorOptions, type Finding, failed } from './finding.ts';

export async function launchPad(o: DoctorOptions): Promise<Finding> {
  const check = 'LaunchPad';
  try {
    const file = findLaunchPadFile(o.launchPadFile, { ...o.env }, o.cwd);
    const settings = launchPadSettings(file ? readLaunchPadFile(file) : {}, file ?? 'defaults');
    await using launchpad = await LaunchPad.open(settings, {
      serverSelectionTimeoutMs: 4000,
      appName: 'borealisctl doctor',
    });
    const where = `${describeLaunchPad(settings)} (${file ?? 'no LaunchPad file: the default'})`;
    const finding = (text: string, mend: string): Finding => ({
      check,
      result: 'FAIL',
      text: `${where} ${text}`,
      mend,
    });
    const open = await exposed(settings);
    if (open)
      return finding(
        `answers anybody on the internet without a password (${open})`,
        'turn on authorization in mongod.conf and make a user (borealisctl lpad init asks for it), or give the VM no external address and use borealisctl tunnel',
      );
    if (!(await launchpad.ids.findOne({}, { projection: { _id: 1 } })))
      return finding('answers, but is no LaunchPad yet', 'borealisctl lpad reset');
    const indexes = await launchpad.fireworks.indexes().catch(() => []);
    if (!indexes.some(({ key }) => 'fw_id' in key))
      return finding('has no indexes: it is slow', 'borealisctl lpad tuneup');
    const { localTime } = await launchpad.db.command({ hello: 1 });
    if (localTime instanceof Date) {
      const time = clockFinding((o.now?.() ?? new Date()).getTime() - localTime.getTime(), 'the server');
      if (time.result === 'FAIL')
        return finding(`has another clock than this machine: ${time.text}`, time.mend ?? '');
    }
    return { check, result: 'OK', text: where };
  } catch (thrown) {
    if (/wire version/i.test(messageOf(thrown))) return oldServer(thrown);
    return failed(check, thrown, thrown instanceof BorealisError ? undefined : 'borealisctl lpad init');
  }
}

/** The driver's own words name both versions. */
export function oldServer(thrown: unknown): Finding {
  return failed('LaunchPad', thrown, 'MongoDB 4.4 is the oldest that fits: upgrade the server');
}

/** The public address on which a LaunchPad without a user can be reached; null when there is none. */
async function exposed(settings: LaunchPadSettings): Promise<string | null> {
  if (hasUser(settings)) return null;
  for (const host of hostsOf(settings)) {
    const addresses = isIP(host)
      ? [host]
      : (await lookup(host, { all: true }).catch(() => [])).map(({ address }) => address);
    const open = addresses.find(isPublic);
    if (open) return open;
  }
  return null;
}

export function hasUser({
  uriMode,
  host,
  username,
}: Pick<LaunchPadSettings, 'uriMode' | 'host' | 'username'>): boolean {
  return username !== undefined || (uriMode && /^mongodb(\+srv)?:\/\/[^/@]+@/.test(host));
}

export function hostsOf({ uriMode, host }: Pick<LaunchPadSettings, 'uriMode' | 'host'>): string[] {
  if (!uriMode) return [host];
  const list = /^mongodb(?:\+srv)?:\/\/(?:[^/@]*@)?([^/?]+)/.exec(host)?.[1] ?? '';
  return list.split(',').map((one) => one.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'));
}

/** Neither of this machine nor of a private network (RFC 1918, 4193, 6598, link-local). */
export function isPublic(address: string): boolean {
  if (isIP(address) === 4)
    return !/^(0|10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(
      address,
    );
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped) return isPublic(mapped);
  return isIP(address) === 6 && !/^(::1?$|f[cd]|fe[89ab])/i.test(address);
}
