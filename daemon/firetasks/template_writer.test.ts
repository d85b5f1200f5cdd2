/** TemplateWriterTask: Jinja2 templates, with what Jinja2 itself makes of them beside each. */
import { describe, expect, test } from 'bun:test';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Double } from 'bson';
import type { Doc } from '../../core/launchpad/index.ts';
import { type TestWorker, testWorker } from '../test_worker.ts';
import { renderJinja } from './jinja.ts';
import { pythonFloat, pythonRepr } from './python_text.ts';

const CONTEXT = {
  i: 1,
  f: 1.5,
  w: new Double(2),
  t: true,
  n: null,
  s: `a<b>&'"c`,
  e: [],
  l: [1, new Double(2), 'x'],
  d: { k: 1, b: 'v' },
  rows: [
    { n: 'x', v: 1 },
    { n: 'y', v: 2 },
  ],
};

/** Each line is what jinja2 3.1 makes of the template (autoescape on, as FireWorks has it). */
const RENDERED: [string, string][] = [
  ['{{i}} {{f}} {{w}} {{t}} {{n}} {{missing}}|', '1 1.5 2.0 True None |'],
  ['{{ s }}', 'a&lt;b&gt;&amp;&#39;&#34;c'],
  ['{{ s|safe }}', `a<b>&'"c`],
  ['{{ l|safe }} {{ l }}', "[1, 2.0, 'x'] [1, 2.0, &#39;x&#39;]"],
  ['{% if e %}y{% else %}n{% endif %}{{ e or "or" }} {{ not e }}', 'nor True'],
  ['{% for k, v in d.items() %}{{k}}={{v}};{% endfor %}{% for k in d %}{{k}}{% endfor %}', 'k=1;b=v;kb'],
  ['{% for x in l %}{{loop.index}}{% if not loop.last %},{% endif %}{% else %}-{% endfor %}', '1,2,3'],
  ['{% for x in missing %}a{% else %}none{% endfor %}', 'none'],
  ['{% set x = 1 %}{% for y in l %}{% set x = y %}{% endfor %}{{ x }}', '1'],
  ['{% set v %}<b>{% endset %}{{ v }}', '<b>'],
  ['{{ w * 2 }} {{ w + 1 }} {{ 4 / 2 }} {{ 7 // 2 }} {{ -7 % 3 }} {{ 2 ** 3 }}', '4.0 3.0 2.0 3 2 8'],
  [
    "{{ '%0.3f'|format(f) }} {{ '%5d|%-3s|%03d' % (i, 'ab', 42) }} {{ '%.2e'|format(w) }}",
    '1.500     1|ab |042 2.00e+00',
  ],
  ['{{ 2.5|round }} {{ 3.14159|round(2) }} {{ w|int }} {{ i|float }}', '2.0 3.14 2 1.0'],
  ["{{ missing|default('d') }} {{ n|default('d') }} {{ n|default('d', true) }}", 'd None d'],
  ["{{ rows|map(attribute='n')|join(',') }} {{ rows|sum(attribute='v') }}", 'x,y 3'],
  ["{{ rows|selectattr('v', 'equalto', 2)|map(attribute='n')|join }}", 'y'],
  ["{{ l[-1] }} {{ l[:2] }} {{ 'abc'[1:] }} {{ 'a b'.split()[0].upper() }}", 'x [1, 2.0] bc A'],
  ["{{ d.get('k') }} {{ d.nothing }}| {{ d['b'] }} {{ 'k' in d }} {{ i is defined }}", '1 | v True True'],
  ["{% macro f(a, b=2) %}{{a}}-{{b}}{% endmacro %}{{ f('<') }}", '&lt;-2'],
  ['{{ d|tojson }}', '{"b": "v", "k": 1}'],
  ['{# c #}a {%- if true %} b {%- endif %}\n', 'a b'],
  ['line\r\n\n', 'line\n'],
  ['{% raw %}{{ x }}{% endraw %}', '{{ x }}'],
];

describe('a template', () => {
  test.each(RENDERED)('%s', async (template, expected) => {
    expect(await renderJinja(template, CONTEXT, '/')).toBe(expected);
  });

  const failures: [string, string, string][] = [
    ['{% if %}', 'TemplateSyntaxError', 'Line 1'],
    ['{{ missing.attribute }}', 'UndefinedError', "'attribute' is asked of something that is undefined"],
    ['{{ i|nofilter }}', 'TemplateAssertionError', 'filter not found: nofilter'],
    ['{% for x in l if x %}{% endfor %}', 'TemplateSyntaxError', 'put an `if` into the loop'],
    ['{% set d.k = 1 %}', 'TemplateSyntaxError', '`set` of an attribute'],
    ['{{ 1 / 0 }}', 'ZeroDivisionError', 'division by zero'],
  ];
  test.each(failures)('%s', async (template, exception, message) => {
    const rendering = renderJinja(template, CONTEXT, '/');
    await expect(rendering).rejects.toMatchObject({ exception, message: expect.stringContaining(message) });
  });
});

test('values as Python shows them', () => {
  expect([1e16, 1e15, 1e-5, 0.0001, -0, 1e22, Number.NaN].map(pythonFloat)).toEqual([
    '1e+16',
    '1000000000000000.0',
    '1e-05',
    '0.0001',
    '-0.0',
    '1e+22',
    'nan',
  ]);
  expect(pythonRepr({ a: ["it's", 'a"b\n', '\'"'], n: null, t: true })).toBe(
    `{'a': ["it's", 'a"b\\n', '\\'"'], 'n': None, 't': True}`,
  );
});

describe('the task', () => {
  const task = (more: Doc = {}) => ({
    _fw_name: 'TemplateWriterTask',
    context: { who: 'you' },
    template_file: 't',
    template_dir: 'templates',
    output_file: 'o',
    ...more,
  });

  /** Flies with a folder of templates; returns what was written, or the last line of the failure. */
  async function written(
    tasks: Doc[],
    spec: Doc = {},
    env?: (worker: TestWorker) => Record<string, string>,
  ): Promise<string> {
    await using worker = await testWorker({ oneFolder: true });
    if (env) worker.pad.env = { ...process.env, ...env(worker) };
    await mkdir(join(worker.folder, 'templates'));
    await writeFile(join(worker.folder, 'templates/t'), "Hello {{ who }}{% include 'more' %}\n");
    await writeFile(join(worker.folder, 'templates/more'), '!\n');
    await writeFile(
      join(worker.folder, 'FW_config.yaml'),
      `TEMPLATE_DIR: ${join(worker.folder, 'templates')}\n`,
    );
    await worker.add(tasks, spec);
    if ((await worker.fly()) === 'completed') return await worker.file('o');
    const { _stacktrace } = (await worker.storedData(1))._exception as { _stacktrace: string };
    return (_stacktrace.trim().split('\n').at(-1) ?? '').replaceAll(worker.folder, 'DIR');
  }

  test('writes what comes of the template, and of what it includes', async () =>
    expect(await written([task()])).toBe('Hello you!'));

  test('append is without effect, as in FireWorks', async () =>
    expect(await written([task(), task({ append: true })])).toBe('Hello you!'));

  test('use_global_spec: the parameters are keys of the spec', async () => {
    const { _fw_name, ...parameters } = task();
    expect(await written([{ _fw_name, use_global_spec: true }], parameters)).toBe('Hello you!');
  });

  test('TEMPLATE_DIR of FW_config.yaml', async () => {
    const env = ({ folder }: TestWorker) => ({ FW_CONFIG_FILE: join(folder, 'FW_config.yaml') });
    expect(await written([task({ template_dir: null })], {}, env)).toBe('Hello you!');
  });

  test('no such template', async () =>
    expect(await written([task({ template_file: 'none' })])).toBe(
      'ValueError: TemplateWriterTask could not find a template file at: DIR/templates/none',
    ));
});
