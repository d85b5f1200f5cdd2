/** Which of the known words somebody may have meant. */

/** The word nearest to `typed`, or null when none is near: at most a third of its letters may differ. */
export function nearest(typed: string, known: readonly string[]): string | null {
  const plain = (word: string) => word.toLowerCase().replaceAll('_', '-');
  let best: string | null = null;
  let bestDistance = Math.ceil(typed.length / 3) + 1;
  for (const word of known) {
    const distance =
      plain(word).startsWith(plain(typed)) && typed.length > 2 ? 1 : edits(plain(typed), plain(word));
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best;
}

/** ` (did you mean 'X'?)`, or nothing. */
export function hint(typed: string, known: readonly string[]): string {
  const word = nearest(typed, known);
  return word ? ` (did you mean '${word}'?)` : '';
}

/** Insertions, deletions, replacements and swaps of neighbours from `a` to `b`. */
function edits(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, at(i - 2, j - 2) + 1);
      row.push(least);
    }
  }
  return at(a.length, b.length);
}
