/** Values as Python prints them. */

/** Python's `repr` of a string: in single quotes, unless it has some and no double ones. */
export function pythonRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escapes: Record<string, string> = {
    '\\': '\\\\',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    [quote]: `\\${quote}`,
  };
  return quote + text.replace(/[\\\n\r\t'"]/g, (char) => escapes[char] ?? char) + quote;
}

/** Python's `format(value, 'g')`: six digits, no zeros behind. */
export function generalFormat(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const exponent = Number(value.toExponential(5).split('e')[1]);
  if (exponent >= -4 && exponent < 6) return String(Number(value.toPrecision(6)));
  const [digits = '', power = ''] = value.toExponential(5).split('e');
  return `${Number(digits)}e${power[0]}${power.slice(1).padStart(2, '0')}`;
}
