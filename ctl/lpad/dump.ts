/** A workflow as a file that `lpad add` reads (`Workflow.to_dict`). */
import { open, rename, rm } from 'node:fs/promises';
import { BorealisError, messageOf } from '../../core/errors.ts';
import { type Doc, type LaunchPad, numberOf, TYPED } from '../../core/launchpad/index.ts';
import { fireworkDicts } from './firework_view.ts';
import { pythonJson, pythonYaml } from './show.ts';

/**
 * Writes the workflow of Firework `fwId` to `file`. The file appears when it is whole; a crash leaves `file.part`.
 * Throws BorealisError when there is no such workflow or the file cannot be written.
 */
export async function dumpWorkflow(
  launchpad: LaunchPad,
  fwId: number,
  file: string,
  format: 'json' | 'yaml',
): Promise<void> {
  const fields = { nodes: 1, links: 1, name: 1, metadata: 1, updated_on: 1, created_on: 1, _id: 0 };
  const workflow = await launchpad.workflows.findOne({ nodes: fwId }, { projection: fields, ...TYPED });
  if (!workflow) throw new BorealisError(`No workflow has a Firework with fw_id ${fwId}`);
  const { links, name, metadata, updated_on, created_on } = workflow;
  const nodes = (workflow.nodes as unknown[]).map(numberOf);
  const part = `${file}.part`;
  try {
    const handle = await open(part, 'w');
    try {
      const text = pieces(launchpad, nodes, { links, name, metadata, updated_on, created_on }, format);
      for await (const piece of text) await handle.write(piece);
    } finally {
      await handle.close();
    }
    await rename(part, file);
  } catch (thrown) {
    await rm(part, { force: true });
    if (thrown instanceof BorealisError) throw thrown;
    throw new BorealisError(`${file} cannot be written: ${messageOf(thrown)}`, { cause: thrown });
  }
}

async function* pieces(
  launchpad: LaunchPad,
  nodes: readonly number[],
  rest: Doc,
  format: 'json' | 'yaml',
): AsyncGenerator<string> {
  let first = true;
  if (format === 'yaml') yield 'fws:\n';
  else yield '{"fws": [';
  for await (const firework of fireworkDicts(launchpad, nodes, 'all')) {
    // As in Python, a Firework that waits says nothing of its state.
    const { state, ...dict } = firework;
    const fw = state === 'WAITING' ? dict : firework;
    if (format === 'yaml') yield await pythonYaml([fw]);
    else yield `${first ? '' : ', '}${pythonJson(fw, 0, 0)}`;
    first = false;
  }
  if (format === 'yaml') yield await pythonYaml(rest);
  else yield `], ${pythonJson(rest, 0, 0).slice(1)}`;
}
