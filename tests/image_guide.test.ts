/** What the guides say of the Packer template's and the Terraform module's variables: docs/image.md has all, in tables. */
import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from '@cdktf/hcl2json';
import { blocksOf, pages, root, shellOf, textOf } from './docs_pages.ts';
import { type Body, readModule } from './terraform/module.ts';

type Variables = Record<string, Body[]>;

const template = await parse('', await readFile(join(root, 'image', 'fireworker.pkr.hcl'), 'utf8'));
const subjects: [string, Variables][] = [
  ['The image', (template as { variable: Variables }).variable],
  ['The project', (await readModule()).variable],
];

test.each(subjects)('%s', async (title, variables) => {
  const guide = await readFile(join(root, 'docs', 'image.md'), 'utf8');
  const section = guide.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? '';
  const [, table = ''] = /^\| variable .*\n\|[-| ]+\|\n((?:\|.*\n)+)/m.exec(section) ?? [];
  const rows = [...table.matchAll(/^\|(.*)\|$/gm)].map(([, row = '']) =>
    row.split('|').map((cell) => cell.trim()),
  );
  const expected = Object.entries(variables).map(([name, [body = {}]]) => [
    `\`${name}\``,
    body.default === undefined ? '' : `\`${JSON.stringify(body.default)}\``,
    body.description,
  ]);
  expect<unknown>(rows).toEqual(expected);
});

test('every -var of a packer or terraform command in a guide is a variable', () => {
  const commands = pages
    .flatMap((page) => blocksOf(textOf(page)).flatMap((block) => shellOf(block) ?? []))
    .flatMap((text) => text.replace(/\\\n\s*/g, ' ').split('\n'))
    .filter((line) => /^(packer|terraform) /.test(line));
  expect(commands.length).toBeGreaterThan(3);
  for (const command of commands) {
    const [, variables = {}] = subjects[command.startsWith('packer') ? 0 : 1] ?? [];
    const given = [...command.matchAll(/-var '?([\w-]+)=/g)].map(([, name = '']) => name);
    expect([command, given.filter((name) => !Object.hasOwn(variables, name))]).toEqual([command, []]);
  }
});
