/** The pages that people read, and what is in them: for the tests that hold them to the truth. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dir, '..');

export const pages: readonly string[] = [
  'README.md',
  'CHANGELOG.md',
  'examples/word-atlas/README.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));

export const textOf = (page: string) => readFileSync(join(root, page), 'utf8');

export interface Block {
  /** What follows the fence: `yaml`. Empty for an indented block. */
  language: string;
  /**
   * The word after it. `sh runnable`: a test types it in a sandbox, with the other such blocks of the page, from top to
   * bottom. `text shown`: they print this, `…` standing for whatever differs from run to run.
   */
  mark: string;
  text: string;
}

const FENCED = /^( *)```(\w*)(?: (\w+))?\n([\s\S]*?)^\1```$/gm;

export function blocksOf(markdown: string): Block[] {
  const fenced = [...markdown.matchAll(FENCED)].map(
    ([, indent = '', language = '', mark = '', text = '']) => ({
      language,
      mark,
      text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    }),
  );
  const indented = [...markdown.replace(FENCED, '').matchAll(/(?:^ {4}.*\n)+/gm)].map(([text]) => ({
    language: '',
    mark: '',
    text: text.replace(/^ {4}/gm, ''),
  }));
  return [...fenced, ...indented];
}

/** A page without its blocks. */
export const proseOf = (markdown: string) => markdown.replace(FENCED, '').replace(/^ {4}.*$/gm, '');

/** What a shell reads of a block: all of it, or of a recorded session what was typed. Null: it is no block for a shell. */
export function shellOf({ language, text }: Block): string | null {
  if (language === 'sh' || language === '') return text;
  if (language !== 'console') return null;
  return [...text.matchAll(/^\$ (.*)$/gm)].map(([, line]) => `${line}\n`).join('');
}

/** A pattern for a text in which `…` stands for anything. */
export const patternOf = (text: string) =>
  new RegExp(
    text
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^]*?'),
  );
