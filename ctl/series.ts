/**
 * For tests: several command lines in one process, which saves the start of each: a command that asks Google loads a second's
 * worth of program. Not part of the program.
 */
import { resolve } from 'node:path';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

interface Place {
  cwd: string;
  env?: Record<string, string>;
  calledAs?: string;
}

type Lines = readonly (readonly string[])[];

/** A process that runs one series of command lines after the other, each in a place of its own. It ends when it is disposed of. */
export interface Program extends AsyncDisposable {
  /** Runs `lines` one after the other. To be called when the series before has ended. */
  run(lines: Lines, place: Place): Promise<Ran[]>;
}

const MARK = '\u001e';

/** Takes series one after the other until its parent is gone, or has no more. */
const PROGRAM = `
  process.on('disconnect', () => process.exit(0));
  process.on('message', async ({ lines, cwd, env, calledAs }) => {
    const { main } = await import(${JSON.stringify(resolve(import.meta.dir, 'main.ts'))});
    const { print, note, report } = await import(${JSON.stringify(resolve(import.meta.dir, 'output.ts'))});
    process.chdir(cwd);
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, env);
    for (const line of lines) {
      const code = await main(line, calledAs).catch(report);
      print(code + '${MARK}');
      note('${MARK}');
    }
  });`;

/** Starts such a process. `stdin` is what a person would type. */
export function program(stdin = ''): Program {
  const child = Bun.spawn([process.execPath, '-e', PROGRAM], {
    // Else bun keeps its cache of compiled sources in the home that it finds first.
    env: { PATH: process.env.PATH, BUN_RUNTIME_TRANSPILER_CACHE_PATH: '0' },
    stdio: [new Blob([stdin]), 'pipe', 'pipe'],
    ipc: () => {},
  });
  const outs = answers(child.stdout, MARK);
  const errs = answers(child.stderr, `${MARK}\n`);
  return {
    async run(lines, { cwd, env, calledAs = 'borealisctl' }) {
      child.send({ lines, cwd, env: { PATH: process.env.PATH ?? '', HOME: cwd, ...env }, calledAs });
      const ran: Ran[] = [];
      for (const line of lines) {
        const [out, err] = await Promise.all([outs.next(), errs.next()]);
        const [, text = '', code] = /^([\s\S]*?)(\d+)$/.exec(out.value) ?? [];
        if (out.done || code === undefined)
          throw new Error(`${line.join(' ')} did not come to its end:\n${out.value}\n${err.value}`);
        ran.push({ code: Number(code), out: text, err: err.value });
      }
      return ran;
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await child.exited;
    },
  };
}

/** What is written up to each `mark`; at the end what comes after the last one. */
async function* answers(output: ReadableStream<Uint8Array>, mark: string): AsyncGenerator<string, string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of output) {
    const parts = (text + decoder.decode(chunk, { stream: true })).split(mark);
    text = parts.pop() ?? '';
    yield* parts;
  }
  return text;
}

/** Runs `lines` in a process of their own, which reads `stdin`. */
export async function series(lines: Lines, o: Place & { stdin?: string }): Promise<Ran[]> {
  await using own = program(o.stdin);
  return await own.run(lines, o);
}
