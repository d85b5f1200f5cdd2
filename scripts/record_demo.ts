/**
 * Runs the demo and draws what a terminal shows of it, for the README. For whoever changed what commands print.
 *
 *     npx bun scripts/record_demo.ts      # writes docs/demo.svg
 *
 * Nothing is made up: commands and output are those of this run. Of a long output the first lines and the last ones are drawn,
 * `...` stands for those between, and lines end at the edge.
 */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dir, '..');

/** Of each command's output. */
const FIRST_LINES = 5;
const LAST_LINES = 2;
const COLUMNS = 104;

const FONT_SIZE = 13;
const LINE_HEIGHT = 18;
/** Of a character, for most monospaced fonts. */
const WIDTH = 0.602 * FONT_SIZE;
const MARGIN = 18;

type Kind = 'chapter' | 'typed' | 'printed';
interface Line {
  kind: Kind;
  text: string;
}

// What commands say of their progress comes by stderr; a terminal shows both as they come.
const both = 'exec "$0" "$1" 2>&1';
const demo = Bun.spawn(['sh', '-c', both, process.execPath, join(root, 'scripts', 'demo.ts')], {
  cwd: root,
  env: { ...process.env, NO_COLOR: '1' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const text = await new Response(demo.stdout).text();
if ((await demo.exited) !== 0) {
  console.error(`error: the demo failed:\n${text}`);
  process.exit(1);
}
const target = join(root, 'docs', 'demo.svg');
await writeFile(target, svgOf(shortened(text.trimEnd().split('\n'))));
console.log(`Wrote ${target}`);

function shortened(lines: string[]): Line[] {
  const kept: Line[] = [];
  let printed: string[] = [];
  const keep = (kind: Kind, text: string) => kept.push({ kind, text: text.slice(0, COLUMNS) });
  const endOutput = () => {
    const long = printed.length > FIRST_LINES + LAST_LINES + 1;
    if (long) printed.splice(FIRST_LINES, printed.length - FIRST_LINES - LAST_LINES, '...');
    for (const text of printed) keep('printed', text);
    printed = [];
  };
  for (const text of lines) {
    const kind: Kind = text.startsWith('$ ') ? 'typed' : text.startsWith('# ') ? 'chapter' : 'printed';
    if (kind !== 'printed') {
      endOutput();
      keep('printed', '');
      keep(kind, text);
    } else if (text !== '') printed.push(text);
  }
  endOutput();
  return kept;
}

function svgOf(lines: readonly Line[]): string {
  const width = Math.ceil(COLUMNS * WIDTH + 2 * MARGIN);
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN;
  const drawn = lines.flatMap(({ kind, text }, i) =>
    text === ''
      ? []
      : `  <text class="${kind}" x="${MARGIN}" y="${MARGIN + (i + 0.75) * LINE_HEIGHT}">${Bun.escapeHTML(text)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 ${width} ${height}" font-size="${FONT_SIZE}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace">
  <title>npm run demo, as a terminal shows it</title>
  <style>
    text { white-space: pre; fill: #c9d4e3 }
    .typed { fill: #ffffff; font-weight: 600 }
    .chapter { fill: #7fc8a0 }
  </style>
  <rect width="${width}" height="${height}" rx="8" fill="#10161f" stroke="#33435f" />
${drawn.join('\n')}
</svg>
`;
}
