/**
 * Failures as MongoDB reports them: a number and its name, so that every driver raises the class that it raises for
 * the real server. Numbers and names: the server's error_codes.yml, release 7.0.
 */
const codeNames = {
  2: 'BadValue',
  9: 'FailedToParse',
  11: 'UserNotFound',
  13: 'Unauthorized',
  14: 'TypeMismatch',
  16: 'InvalidLength',
  18: 'AuthenticationFailed',
  20: 'IllegalOperation',
  22: 'InvalidBSON',
  26: 'NamespaceNotFound',
  27: 'IndexNotFound',
  28: 'PathNotViable',
  40: 'ConflictingUpdateOperators',
  43: 'CursorNotFound',
  48: 'NamespaceExists',
  52: 'DollarPrefixedFieldName',
  54: 'NotSingleValueField',
  56: 'EmptyFieldName',
  59: 'CommandNotFound',
  66: 'ImmutableField',
  67: 'CannotCreateIndex',
  72: 'InvalidOptions',
  73: 'InvalidNamespace',
  85: 'IndexOptionsConflict',
  86: 'IndexKeySpecsConflict',
  115: 'CommandNotSupported',
  123: 'NotAReplicaSet',
  171: 'CannotIndexParallelArrays',
  197: 'InvalidIndexSpecificationOption',
  334: 'MechanismUnavailable',
  10334: 'BSONObjectTooLarge',
  11000: 'DuplicateKey',
} as const;

/** The name that belongs to an error number; numbers of one place in the server's source are `Location<number>`. */
export function codeName(code: number): string {
  return (codeNames as Record<number, string>)[code] ?? `Location${code}`;
}

/** A failure that is answered to the client. Anything else thrown is a bug of ours and is answered as code 8. */
export class MongoFailure extends Error {
  override readonly name = 'MongoFailure';
  constructor(
    readonly code: number,
    message: string,
    /** Further fields of the answer, such as `keyPattern` and `keyValue`. */
    readonly extra: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

export const badValue = (message: string) => new MongoFailure(2, message);
export const failedToParse = (message: string) => new MongoFailure(9, message);
export const typeMismatch = (message: string) => new MongoFailure(14, message);
