/** Every Firetask that FireWorks 2.1.4 defines is this worker's own, or there is a reason. */
import { expect, test } from 'bun:test';
import { BUILT_IN } from '../../core/launchpad/firetask_names.ts';
import { firetaskNamed } from './index.ts';
import { pythonTask } from './python.ts';

/** Every `_fw_name` in its user_objects and features, and who runs it. */
const FIREWORKS: Record<string, string> = {
  AddFilesTask: 'own',
  ArchiveDirTask: 'own',
  CommandLineTask: 'own',
  CompressDirTask: 'own',
  DecompressDirTask: 'own',
  DeleteFilesTask: 'own',
  FileDeleteTask: 'own',
  FileTransferTask: 'own',
  FileWriteTask: 'own',
  ForeachTask: 'own',
  GetFilesByQueryTask: 'own',
  GetFilesTask: 'own',
  ImportDataTask: 'own',
  JoinDictTask: 'own',
  JoinListTask: 'own',
  ScriptTask: 'own',
  TemplateWriterTask: 'own',
  PyTask: 'a function of Python can only run in Python',
  BackgroundTask: 'no Firetask: the spec’s _background_tasks hold it',
  DupeFinderExact: 'no Firetask: a duplicate finder',
  CommonAdapter: 'no Firetask: it submits to a queue',
  'PBSAdapter (NEWT)': 'no Firetask: it submits to a queue',
  'TestSerializer Name': 'no Firetask: for FireWorks’ own tests',
  'TestSerializer Export Name': 'no Firetask: for FireWorks’ own tests',
};

test.each(Object.entries(FIREWORKS))('%s: %s', (name, who) => {
  expect(firetaskNamed(name) !== pythonTask).toBe(who === 'own');
  if (who === 'own' || name === 'PyTask') expect(BUILT_IN as readonly string[]).toContain(name);
});

test('old names are understood', () => {
  for (const name of ['Script Task', 'Transfer Task', 'Template Writer Task'])
    expect(firetaskNamed(name)).not.toBe(pythonTask);
});

const ASK = `
import json, pathlib, re, fireworks
root = pathlib.Path(fireworks.__file__).parent
files = [f for part in ("user_objects", "features") for f in (root / part).rglob("*.py") if "tests" not in f.parts]
print(json.dumps(sorted({name for f in files for name in re.findall(r'^    _fw_name = "(.+)"', f.read_text(), re.M)})))`;

const python = process.env.BOREALIS_PYTHON;
test.skipIf(!python)(
  `the list is complete${python ? '' : ' (skipped: BOREALIS_PYTHON names no Python with fireworks)'}`,
  async () => {
    const child = Bun.spawn([python as string, '-W', 'ignore', '-c', ASK], { stderr: 'inherit' });
    expect(JSON.parse(await new Response(child.stdout).text())).toEqual(Object.keys(FIREWORKS).sort());
  },
);
