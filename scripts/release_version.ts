/** The version of a release, from package.json and git. */
import { BorealisError } from '../core/errors.ts';

/**
 * `described` is what `git describe --tags --match 'v[0-9]*' --long --always` says of the commit: 0.2.0 when its tag is v0.2.0,
 * else 0.2.0-dev.3.g1a2b3c4, three commits after a tag, or 0.2.0-dev.g1a2b3c4 where there is none. Semver sorts both before
 * 0.2.0. Throws BorealisError when the tag and package.json name different versions.
 */
export function releaseVersion(inPackage: string, described: string): string {
  const [, tagged, after, hash] = /^v(\d.*)-(\d+)-g([0-9a-f]+)$/.exec(described) ?? [];
  if (tagged === undefined) return `${inPackage}-dev.g${described}`;
  if (after !== '0') return `${inPackage}-dev.${after}.g${hash}`;
  if (tagged !== inPackage)
    throw new BorealisError(
      `The tag is v${tagged}, but package.json says ${inPackage}: correct one of them, commit, and tag that commit`,
    );
  return tagged;
}
