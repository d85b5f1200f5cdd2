/** What `bun test --reporter=junit` says of a run: for scripts/test.ts, which counts and names what failed. */

export interface Report {
  passed: number;
  /** Each as `FILE: GROUP > NAME`. */
  failed: string[];
  skipped: string[];
}

/** Null: no report. Bun writes none when no test ran: there is no such file, or one that does not even load. */
export function reportOf(xml: string): Report | null {
  if (!/<testsuites[\s>]/.test(xml)) return null;
  const report: Report = { passed: 0, failed: [], skipped: [] };
  // A file is a suite, and so is each group in it.
  const suites: string[] = [];
  let test = '';
  let outcome: 'passed' | 'failed' | 'skipped' = 'passed';
  const ends = () => {
    if (outcome === 'passed') report.passed++;
    else report[outcome].push(test);
  };
  for (const [, closes, tag, attributes = ''] of xml.matchAll(
    /<(\/?)(testsuite|testcase|failure|error|skipped)(?=[\s/>])([^>]*)>/g,
  )) {
    if (tag === 'testsuite' && closes) suites.pop();
    else if (tag === 'testsuite') suites.push(attribute(attributes, 'name'));
    else if (tag === 'testcase' && closes) ends();
    else if (tag === 'testcase') {
      const [file, ...groups] = suites;
      test = `${file}: ${[...groups, attribute(attributes, 'name')].join(' > ')}`;
      outcome = 'passed';
      if (attributes.endsWith('/')) ends();
    } else if (!closes) outcome = tag === 'skipped' ? 'skipped' : 'failed';
  }
  return report;
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function attribute(attributes: string, name: string): string {
  const [, text = ''] = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes) ?? [];
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, word) => {
    if (word) return ENTITIES[word] ?? whole;
    return String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16));
  });
}
