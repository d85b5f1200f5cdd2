/** The tables of docs/image.md are those of the Packer template's and the Terraform module's variables. */
import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parse } from '@cdktf/hcl2json';
import { type Body, readModule } from './terraform/module.ts';

const root = resolve(import.meta.dir, '..');

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
