import { expect, test } from 'bun:test';
import { bulkNames } from './bulk_names.ts';
import { parseFilter } from './filter.ts';
import { parseLogFilter } from './log_filter.ts';

const VMS = [
  { name: 'demo-0', status: 'RUNNING', labels: { 'borealis-fleet': 'demo' }, cpus: 2, id: '10' },
  {
    name: 'demo-1',
    status: 'STOPPING',
    labels: { 'borealis-fleet': 'demo', owner: 'a b' },
    cpus: 4,
    id: '9',
  },
  { name: 'other-0', status: 'RUNNING', labels: {}, cpus: 8, id: '200', scheduling: { preemptible: true } },
];

test.each([
  [null, '0 1 2'],
  ['  ', '0 1 2'],
  ['name=demo-0', '0'],
  ['name = "demo-0"', '0'],
  ["name != 'demo-0'", '1 2'],
  ['labels.borealis-fleet=demo', '0 1'],
  ['labels.owner:*', '1'],
  ['NOT labels.owner:*', '0 2'],
  ['-labels.owner:*', '0 2'],
  ['labels.owner="a b"', '1'],
  ['name:emo', '0 1'],
  ['name=demo-*', '0 1'],
  ['name eq demo-.*', '0 1'],
  ['name eq demo', ''],
  ['name ne .*-0', '1'],
  ['(name eq ".*-0") (status eq RUNNING)', '0 2'],
  ['(status = RUNNING) (cpus > 2)', '2'],
  ['status=RUNNING AND cpus<=2', '0'],
  // OR binds tighter than AND, as in the reference's own example.
  ['(name=demo-0) OR (name=demo-1) AND (status=STOPPING)', '1'],
  ['(name=demo-0) OR ((name=other-0) AND (status=STOPPING))', '0'],
  ['scheduling.preemptible=true', '2'],
  ['scheduling.preemptible:true', '2'],
  ['id > 9', '0 2'],
  ['missing > 1', ''],
])('Compute: %s finds %s', (filter, found) => {
  const matches = parseFilter(filter);
  expect(VMS.flatMap((vm, i) => (matches(vm) ? [i] : [])).join(' ')).toBe(found);
});

test.each([
  'name',
  'name=',
  '=x',
  '(name=a',
  'name=a)',
  'name=a OR',
  'AND name=a',
  'name eq (',
  'name ~ a',
  '(name eq a) (id=1)',
])('Compute: %s is refused', (filter) => {
  expect(() => parseFilter(filter)).toThrow("Invalid value for field 'filter'");
});

const ENTRIES = [
  {
    severity: 'INFO',
    textPayload: 'it begins AND ends',
    labels: { worker: 'demo-0' },
    timestamp: '2026-01-01T00:00:00Z',
    resource: { type: 'gce_instance' },
  },
  {
    severity: 'WARNING',
    textPayload: 'lost (the run)',
    labels: { worker: 'demo-1', 'k8s.io/x': 'y' },
    timestamp: '2026-01-01T00:00:00.5Z',
  },
  {
    severity: 'ERROR',
    jsonPayload: { message: 'It Broke', code: 7 },
    labels: { worker: 'other-1' },
    timestamp: '2026-01-02T00:00:00Z',
  },
];

test.each([
  ['', '0 1 2'],
  ['severity>=WARNING', '1 2'],
  ['severity = "INFO"', '0'],
  ['severity=(INFO OR ERROR)', '0 2'],
  ['severity!=INFO', '1 2'],
  ['labels.worker:"demo-"', '0 1'],
  ['labels.worker:"DEMO-"\nseverity>=WARNING', '1'],
  ['-- a remark\nlabels."k8s.io/x"=y', '1'],
  ['NOT labels.worker:demo', '2'],
  ['-labels.worker:demo severity>INFO', '2'],
  ['textPayload:"begins AND ends"', '0'],
  ['textPayload="lost (the run)"', '1'],
  ['textPayload=~"^lost"', '1'],
  ['textPayload!~"^lost"', '0 2'],
  ['jsonPayload.code>=7', '2'],
  ['jsonPayload:*', '2'],
  ['broke', '2'],
  ['"the run"', '1'],
  ['timestamp>="2026-01-01T00:00:00.1Z"', '1 2'],
  ['timestamp<"2026-01-01T01:00:00+01:00"', ''],
  // a OR NOT b AND NOT c OR d is (a OR (NOT b)) AND ((NOT c) OR d)
  ['severity=INFO OR NOT severity=ERROR AND NOT severity=WARNING OR broke', '0'],
  ['(severity=INFO AND resource.type=gce_instance) OR broke', '0 2'],
])('Logging: %s finds %s', (filter, found) => {
  const matches = parseLogFilter(filter);
  expect(ENTRIES.flatMap((entry, i) => (matches(entry) ? [i] : [])).join(' ')).toBe(found);
});

test.each(['severity>=', '(broke', 'severity=(A OR', 'a AND', 'textPayload=~"("'])(
  'Logging: %s is refused',
  (filter) => {
    expect(() => parseLogFilter(filter)).toThrow('Unparseable filter');
  },
);

test.each([
  [{ perInstanceProperties: { a: {}, b: {} } }, [], ['a', 'b']],
  [{ count: 2, namePattern: 'vm-##' }, [], ['vm-01', 'vm-02']],
  [{ count: 2, namePattern: 'vm-#' }, ['vm-9', 'vm-x', 'other-20'], ['vm-10', 'vm-11']],
  [{ count: 2, namePattern: 'a-#-z', perInstanceProperties: { own: {} } }, ['a-3-z'], ['own', 'a-4-z']],
])('bulkInsert of %j beside %j names %j', (body, taken, names) => {
  expect(bulkNames(body, taken)).toEqual(names);
});

test.each([
  {},
  { count: 0 },
  { count: 1001, namePattern: '#' },
  { count: 1, namePattern: 'a' },
  { count: 1, namePattern: '#a#' },
  { count: 1, perInstanceProperties: { a: {}, b: {} } },
])('bulkInsert of %j is refused', (body) => {
  expect(() => bulkNames(body, [])).toThrow('Invalid value for field');
});
