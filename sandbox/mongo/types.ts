/** BSON's types by their numbers and their names. */
import { Doc } from './document.ts';

export const TYPES: Record<string, number> = {
  ...{
    double: 1,
    string: 2,
    object: 3,
    array: 4,
    binData: 5,
    undefined: 6,
    objectId: 7,
    bool: 8,
    date: 9,
    null: 10,
  },
  ...{
    regex: 11,
    dbPointer: 12,
    javascript: 13,
    symbol: 14,
    javascriptWithScope: 15,
    int: 16,
    timestamp: 17,
  },
  ...{ long: 18, decimal: 19, minKey: -1, maxKey: 127 },
};
/** What the alias `number` means. */
export const NUMBERS = [1, 16, 18, 19];

/** BSON's number of a value's type. */
export function typeOf(value: unknown): number {
  if (value === null) return 10;
  if (value === undefined) return 6;
  if (typeof value === 'string') return 2;
  if (typeof value === 'boolean') return 8;
  if (Array.isArray(value)) return 4;
  if (value instanceof Doc) return 3;
  if (value instanceof Date) return 9;
  switch ((value as { _bsontype?: string })._bsontype) {
    case 'Double':
      return 1;
    case 'Int32':
      return 16;
    case 'Long':
      return 18;
    case 'Decimal128':
      return 19;
    case 'ObjectId':
      return 7;
    case 'Binary':
      return 5;
    case 'BSONRegExp':
      return 11;
    case 'Timestamp':
      return 17;
    case 'Code':
      return 13;
    case 'BSONSymbol':
      return 14;
    case 'MinKey':
      return -1;
    case 'MaxKey':
      return 127;
  }
  return 3;
}

const NAMES = new Map(Object.entries(TYPES).map(([name, number]) => [number, name]));

export const typeName = (value: unknown): string =>
  value === undefined ? 'missing' : (NAMES.get(typeOf(value)) ?? 'object');
