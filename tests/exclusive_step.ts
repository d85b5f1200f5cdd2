/** Tasks that prove that none of them ran twice at once, nor in part without anybody noticing. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A Firework whose task holds a lock while any process of it lives (the kernel gives the lock back, however they end), and
 * says in the machine's file `twice` when somebody holds it already. `began.ID` and `ended.ID` get a line for each run.
 * It takes `seconds`: a number, or what the shell makes one of.
 */
export const exclusiveStep = (id: number, seconds: number | string) => ({
  fw_id: id,
  name: `step ${id}`,
  spec: {
    _tasks: [
      {
        _fw_name: 'ScriptTask',
        script: `exec 9> ../../../lock.${id}
          flock -n 9 || echo ${id} >> ../../../twice
          echo "$PWD" >> ../../../began.${id}
          sleep ${seconds}
          echo "$PWD" >> ../../../ended.${id}`,
      },
    ],
  },
});

/** The lines of a file in the machine's folder; none when it is not there. */
export const linesOf = async (machine: { folder: string }, file: string): Promise<string[]> =>
  (await readFile(join(machine.folder, file), 'utf8').catch(() => '')).split('\n').filter(Boolean);
