import { expect, test } from 'bun:test';
import { commandOf, type ImageConfig } from './command.ts';

const plain: ImageConfig = { entrypoint: [], shell: [] };
const cases: [string | string[], ImageConfig, string[]][] = [
  [['a', 'b c', '$X'], plain, ['a', 'b c', '$X']],
  [['a'], { entrypoint: ['tool'], shell: ['/bin/bash', '-c'] }, ['a']],
  ['echo "$HOME" > x; true', plain, ['/bin/sh', '-c', 'echo "$HOME" > x; true']],
  [
    'echo a',
    { entrypoint: [], shell: ['/bin/bash', '-o', 'pipefail', '-c'] },
    ['/bin/bash', '-o', 'pipefail', '-c', 'echo a'],
  ],
  [`run 'a b' --x="c d"`, { entrypoint: ['tool'], shell: [] }, ['run', 'a b', '--x=c d']],
];
test.each(cases)('%p of %p', (command, image, words) => {
  expect(commandOf(command, image)).toEqual(words);
});
