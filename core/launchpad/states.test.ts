import { expect, test } from 'bun:test';
import type { State } from './model.ts';
import { parentLinks, refreshedState, representativeLaunch, workflowState } from './states.ts';

const launch = (launch_id: number, state: State) => ({ launch_id, state });

test.each<[State[], number | null]>([
  [[], null],
  [['FIZZLED'], 1],
  [['FIZZLED', 'RUNNING'], 2],
  [['RUNNING', 'FIZZLED'], 1],
  [['RESERVED', 'RUNNING', 'COMPLETED'], 3],
  // Of equals the first, as FireWorks 2.1.4 does.
  [['COMPLETED', 'COMPLETED'], 1],
  [['FIZZLED', 'FIZZLED'], 1],
  // An archived launch speaks for nobody.
  [['ARCHIVED'], null],
])('of launches %j number %p speaks', (states, speaks) => {
  const launches = states.map((state, i) => launch(i + 1, state));
  expect(representativeLaunch(launches)?.launch_id ?? null).toBe(speaks);
});

interface Row {
  state?: State;
  parents?: State[];
  launches?: State[];
  allow?: boolean;
  becomes: State;
}
test.each<Row>([
  { becomes: 'READY' },
  { parents: ['COMPLETED', 'COMPLETED'], becomes: 'READY' },
  { parents: ['COMPLETED', 'RUNNING'], becomes: 'WAITING' },
  { parents: ['FIZZLED'], becomes: 'WAITING' },
  { parents: ['FIZZLED', 'COMPLETED'], allow: true, becomes: 'READY' },
  { parents: ['FIZZLED', 'READY'], allow: true, becomes: 'WAITING' },
  { parents: ['DEFUSED'], allow: true, becomes: 'WAITING' },
  { parents: ['PAUSED'], becomes: 'WAITING' },
  { launches: ['RUNNING'], becomes: 'RUNNING' },
  { launches: ['FIZZLED', 'COMPLETED'], becomes: 'COMPLETED' },
  { launches: ['FIZZLED'], becomes: 'FIZZLED' },
  // A parent that runs again takes its children back, whatever they did.
  { parents: ['READY'], launches: ['COMPLETED'], state: 'COMPLETED', becomes: 'WAITING' },
  { state: 'PAUSED', launches: ['COMPLETED'], becomes: 'PAUSED' },
  { state: 'DEFUSED', parents: ['READY'], becomes: 'DEFUSED' },
  { state: 'ARCHIVED', becomes: 'ARCHIVED' },
])('a Firework: %j', ({ state = 'WAITING', parents = [], launches = [], allow = false, becomes }) => {
  const refreshed = refreshedState({
    state,
    parents,
    allowFizzledParents: allow,
    launches: launches.map((one, i) => launch(i, one)),
  });
  expect(refreshed).toBe(becomes);
});

interface WorkflowRow {
  states: State[];
  leavesCompleted?: boolean;
  childrenOfFizzled?: boolean[][];
  is: State;
}
test.each<WorkflowRow>([
  { states: ['READY', 'WAITING'], is: 'READY' },
  { states: ['WAITING'], is: 'READY' },
  { states: ['RESERVED', 'WAITING'], is: 'RESERVED' },
  { states: ['RUNNING', 'WAITING'], is: 'RUNNING' },
  { states: ['COMPLETED', 'READY'], is: 'RUNNING' },
  { states: ['COMPLETED'], leavesCompleted: true, is: 'COMPLETED' },
  // Leaves decide: what fizzled above them was allowed to.
  { states: ['FIZZLED', 'COMPLETED'], leavesCompleted: true, childrenOfFizzled: [[true]], is: 'COMPLETED' },
  { states: ['FIZZLED', 'READY'], childrenOfFizzled: [[true]], is: 'RUNNING' },
  { states: ['FIZZLED', 'READY'], childrenOfFizzled: [[true, false]], is: 'FIZZLED' },
  { states: ['FIZZLED', 'RUNNING'], childrenOfFizzled: [[]], is: 'FIZZLED' },
  { states: ['DEFUSED', 'FIZZLED'], childrenOfFizzled: [[]], is: 'DEFUSED' },
  { states: ['PAUSED', 'FIZZLED', 'COMPLETED'], childrenOfFizzled: [[]], is: 'PAUSED' },
  { states: ['DEFUSED', 'PAUSED'], is: 'DEFUSED' },
  { states: ['ARCHIVED'], is: 'ARCHIVED' },
  { states: ['ARCHIVED', 'COMPLETED'], is: 'RUNNING' },
])('a workflow: %j', ({ states, leavesCompleted = false, childrenOfFizzled = [], is }) => {
  expect(workflowState({ states: new Set(states), leavesCompleted, childrenOfFizzled })).toBe(is);
});

test('parents of a diamond', () => {
  expect(parentLinks({ 4: [3, 2], 3: [1], 2: [1], 1: [] })).toEqual({ 3: [4], 2: [4], 1: [2, 3] });
});
