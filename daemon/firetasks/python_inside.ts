/** A Firetask in Python that runs inside a container: what is mounted there for it, and what it answers. */
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Doc, type FWAction, toJson } from '../../core/launchpad/index.ts';
import type { Mount } from '../docker/container.ts';
import { answerIn } from './ask_python.ts';
import BRIDGE from './bridge.py' with { type: 'text' };
import { FiretaskError } from './firetask.ts';
import { actionOf } from './python.ts';

/** In the container. */
const PLACE = '/.borealis';
const [PROGRAM, QUESTION, ANSWER] = ['bridge.py', 'question.json', 'answer.json'];

export class PythonInside {
  /** Behind the name of a Python. */
  readonly command = [PROGRAM, QUESTION, ANSWER].map((file) => `${PLACE}/${file}`);

  private constructor(
    readonly folder: string,
    readonly question: Doc,
  ) {}

  /** Makes the folder. It goes with the one that it lies in. */
  static async open(folder: string, question: Doc): Promise<PythonInside> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, PROGRAM), BRIDGE);
    // It may name the LaunchPad, with its password.
    await writeFile(join(folder, QUESTION), toJson(question), { mode: 0o600 });
    await writeFile(join(folder, ANSWER), '');
    return new PythonInside(folder, question);
  }

  get mounts(): Mount[] {
    const mount = (file: string, readOnly: boolean): Mount => ({
      source: join(this.folder, file),
      target: `${PLACE}/${file}`,
      readOnly,
    });
    return [mount(PROGRAM, true), mount(QUESTION, true), mount(ANSWER, false)];
  }

  /** What its answer follows from: not from what the Firework's other Firetasks are, nor from how the LaunchPad is reached. */
  get facts(): Doc {
    const { launchpad, ...question } = this.question;
    const { _tasks, ...spec } = question.spec as Doc;
    return { ...question, spec };
  }

  /** Before it runs again. */
  async forget(): Promise<void> {
    await truncate(join(this.folder, ANSWER));
  }

  /** Throws FiretaskError for what was raised there, or when it ended without an answer. */
  async action(): Promise<FWAction | null> {
    const text = await this.#text();
    if (!text) throw new FiretaskError('RuntimeError', 'Python ended before the task gave its result');
    return actionOf(answerIn(text).action, this.question.task as Doc);
  }

  /** What was raised there; null: nothing, as far as is known. */
  async raised(): Promise<FiretaskError | null> {
    try {
      const text = await this.#text();
      if (text) answerIn(text);
    } catch (thrown) {
      if (thrown instanceof FiretaskError) return thrown;
    }
    return null;
  }

  /** Of one that was killed while it wrote, there is nothing. */
  async #text(): Promise<string> {
    const text = await readFile(join(this.folder, ANSWER), 'utf8');
    return text.endsWith('\n') ? text : '';
  }
}
