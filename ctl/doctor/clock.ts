/** This machine's clock beside Google's: heartbeats, lost runs and credentials go by it. */
import { readEndpoints } from '../../core/cloud/endpoints.ts';
import { MINUTE, SECOND } from '../../core/wait.ts';
import { type DoctorOptions, type Finding, failed } from './finding.ts';

/** Far below what makes a run lost, and below the five minutes that Google's credentials allow. */
const MOST_MS = MINUTE;

export async function clock(o: DoctorOptions): Promise<Finding> {
  const check = 'clock';
  const base = readEndpoints(o.env).compute ?? new URL('https://compute.googleapis.com/');
  try {
    // Any answer has the time of it, a refusal too.
    const response = await fetch(base, { method: 'HEAD', signal: AbortSignal.timeout(10 * SECOND) });
    const theirs = new Date(response.headers.get('date') ?? '');
    if (Number.isNaN(theirs.getTime())) return { check, result: 'SKIP', text: 'Google told no time' };
    return clockFinding((o.now?.() ?? new Date()).getTime() - theirs.getTime(), 'Google');
  } catch (thrown) {
    return failed(check, thrown, 'this machine must reach Google: see its network, or its proxy');
  }
}

/** `skewMs`: how far this machine's clock is before the other one. */
export function clockFinding(skewMs: number, whose: string): Finding {
  const seconds = Math.round(Math.abs(skewMs) / SECOND);
  const check = 'clock';
  if (Math.abs(skewMs) <= MOST_MS)
    return { check, result: 'OK', text: `within a minute of ${whose}'s clock` };
  return {
    check,
    result: 'FAIL',
    text: `it is ${seconds} s ${skewMs > 0 ? 'before' : 'behind'} ${whose}'s clock`,
    mend: 'sudo timedatectl set-ntp true',
  };
}
