import type { Env } from '../../core/cloud/endpoints.ts';
import { messageOf } from '../../core/errors.ts';

export interface Finding {
  check: string;
  result: 'OK' | 'FAIL' | 'SKIP';
  /** What was found. */
  text: string;
  /** What to do about it. */
  mend?: string;
}

export interface DoctorOptions {
  env: Env;
  cwd: string;
  launchPadFile?: string;
  project?: string;
  zone?: string;
  bucket?: string;
  /** The image family that VMs will boot. */
  family?: string;
  /** This machine's clock. */
  now?: () => Date;
}

export type Check = (o: DoctorOptions) => Finding | Promise<Finding>;

/** An error as a finding; its message says how to mend it, unless `mend` does. */
export function failed(check: string, thrown: unknown, mend?: string): Finding {
  return { check, result: 'FAIL', text: messageOf(thrown).split('\n')[0] ?? '', ...(mend && { mend }) };
}

/** The promise, or a failure after `ms`. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
