/** Our lpad prints what Python's lpad prints, byte by byte, on the same database. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { series } from '../ctl/series.ts';
import { type Mongo, startMongo } from '../sandbox/mongo/server.ts';

const python = process.env.BOREALIS_PYTHON;

const WORKFLOW = `
name: my wf
metadata: {kind: test}
fws:
- fw_id: 1
  name: first
  spec:
    _priority: 3
    num: 1.5
    big: 9007199254740993
    text: grüße
    _tasks: [{_fw_name: ScriptTask, script: echo hi}]
- fw_id: 2
  name: second
  spec: {_tasks: [{_fw_name: ScriptTask, script: exit 3}]}
- fw_id: 3
  spec: {_tasks: [{_fw_name: ScriptTask, script: echo never}]}
links: {1: [2], 2: [3]}
`;

/** Makes a database in which something completed, something failed, something was rerun and something is paused. */
const PREPARE = `
import contextlib, io, json, sys
from datetime import datetime
from fireworks import LaunchPad, FWorker
from fireworks.core.rocket_launcher import rapidfire
from fireworks.scripts.lpad_run import lpad
log = sys.stderr
with contextlib.redirect_stdout(log):
    pad = LaunchPad.from_file("my_launchpad.yaml")
    pad.reset(datetime.now().strftime("%Y-%m-%d"))
    for line in (["add", "wf.yaml"], ["add_scripts", "echo a", "echo b", "-n", "one", "two", "-w", "scripts"], ["add_scripts", "echo c"]):
        lpad(["-l", "my_launchpad.yaml", *line])
    rapidfire(pad, FWorker(name="w"), nlaunches=4, strm_lvl="CRITICAL")
    lpad(["-l", "my_launchpad.yaml", "rerun_fws", "-i", "4"])
    lpad(["-l", "my_launchpad.yaml", "pause_fws", "-i", "6"])
`;

/** Runs each command line in one process, for FireWorks takes a second to start. */
const RUN = `
answers = []
for line in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            lpad(["-l", "my_launchpad.yaml", *line])
        except BaseException as thrown:
            print("failed:", repr(thrown))
    answers.append(said.getvalue())
# The scripts that ran wrote to stdout themselves.
json.dump(answers, open("answers.json", "w"))
`;

const DISPLAYS = ['ids', 'count', 'less', 'more', 'all', 'reservations'];

const LINES: string[][] = [
  ...DISPLAYS.map((display) => ['get_wflows', '-d', display]),
  ...DISPLAYS.map((display) => ['get_fws', '-d', display]),
  ['get_wflows'],
  ['get_fws'],
  ['get_wfs', '-i', '2,5', '-d', 'ids'],
  ['get_wflows', '-n', 'my wf', '-d', 'more'],
  ['get_wflows', '-s', 'COMPLETED', '-m', '1', '-d', 'less'],
  ['get_wflows', '-q', `{'metadata.kind': 'test'}`, '-d', 'all'],
  ['get_fws', '-i', '1', '-d', 'all'],
  ['get_fws', '-s', 'FIZZLED', '-d', 'more'],
  ['get_fws', '-s', 'RUNNING'],
  ['get_fws', '--rsort', 'updated_on', '-m', '3', '-d', 'ids'],
  ['get_fws', '-q', `{'spec.num': 1.5, 'state': {'$in': ['READY', 'COMPLETED']}}`, '-d', 'ids'],
  ['get_fws', '-lm', '-q', `{'state': 'COMPLETED'}`, '-d', 'ids'],
  ['get_fws_in_wflows', '-wfn', 'scripts', '-d', 'more'],
  ['get_fws_in_wflows', '-wfs', 'FIZZLED', '-fws', 'FIZZLED', '-d', 'count'],
  ['-o', 'yaml', 'get_wflows', '-d', 'more'],
  ['-o', 'yaml', 'get_fws', '-d', 'less'],
  ['get_launchdir', '2'],
  ['get_launchdir', '3'],
  ['report'],
  ['report', '-c', 'launches', '-i', 'hours'],
  ['detect_lostruns', '--time', '0'],
];

let mongo: Mongo;
let cwd: string;
beforeAll(async () => {
  mongo = await startMongo();
  cwd = await mkdtemp(join(tmpdir(), 'lpad-python-'));
  await writeFile(join(cwd, 'my_launchpad.yaml'), `host: 127.0.0.1\nport: ${mongo.port}\nname: fireworks\n`);
  await writeFile(join(cwd, 'wf.yaml'), WORKFLOW);
});
afterAll(async () => {
  await mongo.stop();
  await rm(cwd, { recursive: true });
});

/** What a logger says beside the data has the time in it. */
const data = (text: string) =>
  text
    .split('\n')
    .filter((line) => !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ /.test(line))
    .join('\n');

test.skipIf(!python)(
  'ours and Python FireWorks print the same',
  async () => {
    const child = Bun.spawn([python as string, '-c', `${PREPARE}${RUN}`], {
      cwd,
      stdin: new Blob([JSON.stringify(LINES)]),
      stdout: 'ignore',
      stderr: 'pipe',
    });
    const err = await new Response(child.stderr).text();
    if ((await child.exited) !== 0) throw new Error(err);
    const theirs = JSON.parse(await readFile(join(cwd, 'answers.json'), 'utf8')) as string[];
    const ours = await series(LINES, { cwd, calledAs: 'lpad' });
    for (const [i, line] of LINES.entries()) {
      const name = line.join(' ');
      expect([name, ours[i]?.err, data(ours[i]?.out ?? '')]).toEqual([name, '', data(theirs[i] ?? '')]);
    }
  },
  60_000,
);
