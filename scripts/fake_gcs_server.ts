/**
 * fake-gcs-server, a Cloud Storage that is not ours: tests of staging run with it as well, where Go is.
 *
 *     bun scripts/fake_gcs_server.ts       prints the path of the program, and builds it when it is not there
 *
 * It is built from the Go module proxy once, which takes a minute or two, and kept below node_modules/.cache.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Need, provide } from './system_packages.ts';

/** The last one that the Go of Debian 12 (1.19) builds. */
const VERSION = 'v1.45.2';

const NEEDS: Need[] = [
  { program: 'go', package: 'golang-go', why: "staging is not tested with a third party's server" },
];

const folder = resolve(import.meta.dir, '..', 'node_modules', '.cache', 'borealis');
const program = join(folder, `fake-gcs-server-${VERSION}`);

/** The path of the program when it has been built. */
export const builtFakeGcsServer = (): string | null => (existsSync(program) ? program : null);

/** The path of the program; null, after a line that says why, when it cannot be had. */
export async function fakeGcsServer(say: (line: string) => void): Promise<string | null> {
  if (existsSync(program)) return program;
  if ((await provide(NEEDS, say)).length > 0) return null;
  say(`Building fake-gcs-server ${VERSION}, once`);
  await mkdir(folder, { recursive: true });
  // What is cut off half-way must not be taken for the program.
  const part = await mkdtemp(join(folder, 'go-'));
  try {
    const module = `github.com/fsouza/fake-gcs-server@${VERSION}`;
    const go = Bun.spawn(['go', 'install', module], {
      env: { ...process.env, GOBIN: part, GOFLAGS: '-mod=mod' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const said = await new Response(go.stderr).text();
    if ((await go.exited) !== 0) {
      say(`fake-gcs-server cannot be built: ${said.trim().split('\n').at(-1)}`);
      return null;
    }
    await rename(join(part, 'fake-gcs-server'), program);
    return program;
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const built = await fakeGcsServer(console.error);
  if (built) console.log(built);
  process.exit(built ? 0 : 1);
}
