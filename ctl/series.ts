/** For tests: several command lines in one process, which saves the start of each. Not part of the program. */
import { resolve } from 'node:path';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

const MARK = '\u001e';
const main = resolve(import.meta.dir, 'main.ts');

/** Runs `lines` one after the other as `calledAs` in the folder `cwd`; `stdin` is what a person would type. */
export async function series(
  lines: readonly (readonly string[])[],
  o: { cwd: string; env?: Record<string, string>; stdin?: string; calledAs?: string },
): Promise<Ran[]> {
  const code = `
    const { main } = await import(${JSON.stringify(main)});
    const { print, note, report } = await import(${JSON.stringify(resolve(import.meta.dir, 'output.ts'))});
    for (const line of JSON.parse(process.env.SERIES)) {
      const code = await main(line, ${JSON.stringify(o.calledAs ?? 'borealisctl')}).catch(report);
      print(code + '${MARK}');
      note('${MARK}');
    }
    process.exit(0);`;
  const child = Bun.spawn([process.execPath, '-e', code], {
    cwd: o.cwd,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: o.cwd,
      // Else bun keeps its cache of compiled sources in that home.
      BUN_RUNTIME_TRANSPILER_CACHE_PATH: '0',
      ...o.env,
      SERIES: JSON.stringify(lines),
    },
    stdin: new Blob([o.stdin ?? '']),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const outs = out.split(MARK);
  const errs = err.split(`${MARK}\n`);
  return lines.map((line, i) => {
    const [, text = '', exitCode] = /^([\s\S]*?)(\d+)$/.exec(outs[i] ?? '') ?? [];
    if (exitCode === undefined)
      throw new Error(`${line.join(' ')} did not come to its end:\n${outs[i] ?? ''}\n${errs[i] ?? ''}`);
    return { code: Number(exitCode), out: text, err: errs[i] ?? '' };
  });
}
