import { expect, test } from 'bun:test';
import { releaseVersion } from './release_version.ts';

test.each([
  ['0.2.0', 'v0.2.0-0-g1a2b3c4', '0.2.0'],
  ['0.2.0', 'v0.1.0-3-g1a2b3c4', '0.2.0-dev.3.g1a2b3c4'],
  ['1.0.0-rc.1', 'v1.0.0-rc.1-0-g1a2b3c4', '1.0.0-rc.1'],
  ['0.1.0', '1a2b3c4', '0.1.0-dev.g1a2b3c4'],
])('package.json says %s, git %s: %s', (inPackage, described, version) => {
  expect(releaseVersion(inPackage, described)).toBe(version);
});

test('a tag that is not that of package.json is no release', () => {
  expect(() => releaseVersion('0.2.0', 'v0.3.0-0-g1a2b3c4')).toThrow(
    'The tag is v0.3.0, but package.json says 0.2.0',
  );
});

test('a commit without a tag comes before the release, one with more commits after one with fewer', () => {
  const versions = ['v0.1.0-10-gaaa', 'v0.1.0-9-gbbb', 'v0.2.0-0-gccc'].map((said) =>
    releaseVersion('0.2.0', said),
  );
  expect(versions.sort(Bun.semver.order)).toEqual(['0.2.0-dev.9.gbbb', '0.2.0-dev.10.gaaa', '0.2.0']);
});
