/**
 * The main job, end to end on this machine: a miniature cloud, a fleet of three VMs, a workflow that grows while it runs,
 * its results, and everything gone again. For somebody who sees Borealis for the first time.
 *
 *     npm run demo                 all of it, in well under a minute
 *     npm run demo -- --keep      leaves the folder with the results
 *
 * Each command is shown before it runs, and can be typed as it stands. All files are in one temporary folder. Ctrl-C or a
 * failure half-way cleans up like a good end does.
 */
import { join, resolve } from 'node:path';
import { BorealisError, messageOf } from '../core/errors.ts';
import { SECOND, sleep } from '../core/wait.ts';
import { build, takeBuilt } from './build.ts';
import { openStage, type Stage } from './demo_stage.ts';
import { dockerEngine, importImage } from './docker_engine.ts';
import { provide } from './system_packages.ts';

const root = resolve(import.meta.dir, '..');
const example = 'examples/word-atlas';
const IMAGE = 'borealis-demo:1';

const unknown = process.argv.slice(2).find((word) => word !== '--keep');
if (unknown !== undefined) {
  console.error(`error: unknown argument ${unknown}. Usage: npm run demo [-- --keep]`);
  process.exit(2);
}
const stage = await openStage({ cwd: root, keep: process.argv.includes('--keep') }).catch((thrown) => {
  console.error(`error: ${messageOf(thrown)}`);
  process.exit(1);
});
try {
  await prepare(stage);
  await flyFleet(stage);
} catch (thrown) {
  if (!stage.interrupted) {
    console.error(thrown instanceof BorealisError ? `\nerror: ${messageOf(thrown)}` : thrown);
    stage.failed = true;
  }
}
process.exit(await stage.close());

/** Binaries, a Docker Engine and the image that the steps run in. */
async function prepare(stage: Stage): Promise<void> {
  if (await takeBuilt(stage.bin)) {
    stage.say('Taking fireworker and borealisctl from dist/: they are of these sources');
  } else {
    stage.say('Building fireworker and borealisctl');
    await build(stage.bin, stage.signal);
  }
  stage.check();
  const without = 'the steps run as ScriptTasks instead of DockerTasks';
  const engine = await dockerEngine({ say: stage.say, without, signal: stage.signal });
  if (engine) {
    stage.atEnd(() => engine.stop());
    stage.needs('the Docker Engine', engine.alive);
  }
  stage.check();
  if (!engine) return;
  const busybox = { program: 'busybox', package: 'busybox-static', why: without };
  if ((await provide([busybox], stage.say)).length > 0) return;
  stage.check();
  stage.env.DOCKER_HOST = engine.host;
  const removeImage = await importImage(engine.host, IMAGE);
  // An Engine that died takes its images along.
  stage.atEnd(async () => engine.alive() && (await removeImage()));
  stage.docker = true;
}

/** What a user types. */
async function flyFleet(stage: Stage): Promise<void> {
  stage.chapter('A cloud in miniature, on this machine');
  stage.atEnd(() => stage.endQuietly('borealisctl', 'sandbox', 'down', '--purge'));
  await stage.type('borealisctl sandbox up --detach');
  await stage.source(join(stage.sandbox, 'env'));

  stage.chapter('A fleet of three worker VMs');
  await stage.type('borealisctl up demo --count 3');

  stage.chapter('A workflow: 12 Fireworks, one of which will add more');
  await stage.type(`borealisctl storage cp ${example}/input/ gs://sandbox/word-atlas/input/`);
  await stage.type(`borealisctl lpad add ${example}/workflow.${stage.docker ? 'docker' : 'script'}.yaml`);
  await stage.type('borealisctl watch');
  await stage.type('borealisctl lpad get_wflows -d less');
  await stage.type('borealisctl ps demo');

  stage.chapter('What it made');
  await stage.type('borealisctl storage ls -l gs://sandbox/word-atlas/');
  await stage.type('borealisctl storage cat gs://sandbox/word-atlas/output/summary.txt');
  if (stage.keep) await stage.type(`borealisctl storage cp gs://sandbox/word-atlas/ ${stage.results}/`);

  stage.chapter('The fleet goes home');
  const vms = await namesOfVms(stage);
  await stage.type('borealisctl quit-soon demo');
  await untilGone(stage, vms);
  await stage.type('borealisctl ps demo');
  await stage.type('borealisctl sandbox down');
}

/** Waits until these VMs have stopped and deleted themselves, and tells of each as it goes. */
async function untilGone(stage: Stage, vms: string[]): Promise<void> {
  let left = vms;
  for (const end = Date.now() + 30 * SECOND; left.length > 0; await sleep(250, stage.signal)) {
    const there = await namesOfVms(stage);
    for (const name of left.filter((name) => !there.includes(name))) stage.say(`${name} deleted itself`);
    left = there;
    if (Date.now() > end) throw new BorealisError(`${left.join(', ')} did not delete themselves within 30 s`);
  }
}

async function namesOfVms(stage: Stage): Promise<string[]> {
  const vms: { name: string }[] = JSON.parse(await stage.ask('borealisctl', 'ps', 'demo', '--json'));
  return vms.map((vm) => vm.name);
}
