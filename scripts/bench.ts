/**
 * Benchmarks, each beside its peer in the same run. For people who change something and want to know what it costs.
 *
 *     npm run bench                        all but the long ones
 *     npm run bench -- rockets             those with that in their name
 *     npm run bench -- rockets-launchpad-fan-out-2000      a long one, by its whole name
 *     npm run --silent bench > lines.json  one JSON object a line: {bench, ours, peer, ratio, unit}
 *
 * What is measured, and on which machine, is told on stderr.
 */
import { readdir } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { type Bench, measure } from '../bench/bench.ts';
import { build } from './build.ts';
import { pythonEnv } from './python_env.ts';

const folder = resolve(import.meta.dir, '..', 'bench');
const [part] = process.argv.slice(2);

const python = await pythonEnv({ say: console.error });
if (python) process.env.BOREALIS_PYTHON = python;
else console.error('Without a Python that has FireWorks there is no peer to compare with.');

const all: Bench[] = [];
for (const file of (await readdir(folder)).sort()) {
  if (!file.endsWith('.ts')) continue;
  // Loaded now, when it is known where the peer is.
  const { benches = [] } = (await import(join(folder, file))) as { benches?: Bench[] };
  all.push(...benches);
}
const chosen = all.filter(({ name, onRequest }) =>
  onRequest ? name === part : !part || name.includes(part),
);
if (chosen.length === 0) {
  console.error(
    `error: no benchmark has '${part}' in its name. There are: ${all.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}

await build();
console.error(await machine());
for (const bench of chosen) {
  console.error(`${bench.name}: ${bench.about}; median of ${bench.repeats}`);
  console.log(JSON.stringify(await measure(bench)));
}

/** What the figures depend on. */
async function machine(): Promise<string> {
  const ask = ['-c', 'import platform, fireworks; print(platform.python_version(), fireworks.__version__)'];
  const said = python
    ? await new Response(Bun.spawn([python, ...ask], { stderr: 'ignore' }).stdout).text()
    : '';
  const [version, fireworks] = said.trim().split(' ');
  const peer = python ? `Python ${version} with FireWorks ${fireworks}` : 'no Python';
  return `${availableParallelism()} cores, ${cpus()[0]?.model.trim()}; Bun ${Bun.version}; ${peer}`;
}
