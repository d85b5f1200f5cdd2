import { expect, test } from 'bun:test';
import { parseLpad } from './arguments.ts';
import { displayFlag, launchesModeFlag, orderFlags, selectionFlags } from './flags.ts';

const grammar = {
  path: 'lpad get_fws',
  flags: [
    ...selectionFlags(),
    ...selectionFlags('wf'),
    launchesModeFlag,
    displayFlag('less'),
    ...orderFlags,
    { names: ['--names'], key: 'names', kind: 'texts', help: '' },
  ],
  words: [],
} as const;

const read = (...argv: string[]) => Object.fromEntries(parseLpad(grammar, argv).args.values);
const standard = { display_format: 'less', max: 0 };

test.each([
  [['-i', '3'], { fw_id: [3] }],
  [['-i', '1,2, 3'], { fw_id: [1, 2, 3] }],
  [['--fw_id=7'], { fw_id: [7] }],
  [['--fw-id', '7'], { fw_id: [7] }],
  [['-s', 'fizzled'], { state: 'FIZZLED' }],
  [['-d', 'COUNT'], { display_format: 'count' }],
  [['-dids', '-m10'], { display_format: 'ids', max: 10 }],
  [['--disp', 'all'], { display_format: 'all' }],
  [['-lm', '-wfi', '4', '-wfn', 'my wf'], { launches_mode: true, wf_fw_id: [4], wf_name: 'my wf' }],
  [['--names', 'a', 'b', '-i', '-1'], { names: ['a', 'b'], fw_id: [-1] }],
])('%j', (argv, values) => {
  expect(read(...argv)).toEqual({ ...standard, ...values });
});

test.each([
  [['-x'], 'unknown flag -x'],
  [['--sate', 'READY'], "unknown flag --sate (did you mean '--state'?)"],
  [['-i'], '-i needs a value'],
  [['-i', 'three'], '-i three: it must be a whole number'],
  [['-s', 'FIZLED'], "did you mean 'FIZZLED'?"],
  [['-m', '1.5'], '-m 1.5: it must be a whole number'],
  [['-lm=yes'], '-lm takes no value'],
  [['word'], "'word' is one word too many"],
])('%j is refused', (argv, text) => {
  expect(() => read(...argv)).toThrow(text);
});
