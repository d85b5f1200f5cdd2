/**
 * Compute's operations: what a request is answered with, and what becomes of it. PENDING (accepted), RUNNING, DONE (with
 * `error` when it failed). https://cloud.google.com/compute/docs/reference/rest/v1/zoneOperations
 */
import { STATUS_CODES } from 'node:http';
import { parseFilter } from './filter.ts';
import { badRequest, notFound, page } from './http.ts';

type Json = Record<string, unknown>;

export interface Operation extends Json {
  name: string;
  status: 'PENDING' | 'RUNNING' | 'DONE';
  progress: number;
}

/** What an operation does. */
export interface Task {
  /** insert, delete, setMetadata... */
  type: string;
  targetLink: string;
  targetId?: string;
  /** The zone's URL, or the region's; none for an operation of the whole project. */
  zone?: string;
  region?: string;
  /** Whose doing it is, when it is not the one who asks. */
  user?: string;
  /** Joins the operations that one bulkInsert started. */
  group?: string;
  work: (operation: Operation) => Promise<void>;
}

/** A failure with the code that goes into `error.errors[]`. */
export class OperationError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly httpStatus: number,
  ) {
    super(message);
  }
}

/** Google holds a request of `wait` for this long at most. */
const LONGEST_WAIT_MS = 120_000;

interface Known {
  operation: Operation;
  /** What it failed with, when it is done. */
  done: Promise<OperationError | null>;
}

export class Operations {
  readonly #known = new Map<string, Known>();
  /** By the requestId of the request that started it. */
  readonly #asked = new Map<string, string>();

  constructor(
    /** `projects/P` as a URL. */
    readonly base: () => string,
    readonly user: string,
    readonly newId: () => string,
  ) {}

  /** Starts a task and answers at once. The operation is DONE when its work is. */
  start(task: Task): Operation {
    const name = `operation-${Date.now()}-${crypto.randomUUID().slice(0, 13)}`;
    const operation: Operation = {
      kind: 'compute#operation',
      id: this.newId(),
      name,
      ...(task.zone && { zone: task.zone }),
      ...(task.region && { region: task.region }),
      operationType: task.type,
      ...(task.group && { operationGroupId: task.group }),
      targetLink: task.targetLink,
      ...(task.targetId && { targetId: task.targetId }),
      status: 'PENDING',
      progress: 0,
      user: task.user ?? this.user,
      insertTime: new Date().toISOString(),
      selfLink: `${task.zone ?? task.region ?? `${this.base()}/global`}/operations/${name}`,
    };
    this.#known.set(name, { operation, done: this.#run(operation, task) });
    return operation;
  }

  async #run(operation: Operation, task: Task): Promise<OperationError | null> {
    let failure: OperationError | null = null;
    await Bun.sleep(1);
    Object.assign(operation, { status: 'RUNNING', startTime: new Date().toISOString() });
    try {
      await task.work(operation);
    } catch (thrown) {
      failure =
        thrown instanceof OperationError ? thrown : new OperationError('INTERNAL_ERROR', String(thrown), 500);
      const { code, message, httpStatus } = failure;
      operation.error = { errors: [{ code, message }] };
      operation.httpErrorStatusCode = httpStatus;
      operation.httpErrorMessage = STATUS_CODES[httpStatus]?.toUpperCase();
    }
    Object.assign(operation, { status: 'DONE', progress: 100, endTime: new Date().toISOString() });
    return failure;
  }

  /**
   * Starts what `make` starts, but once for a requestId: a request that is repeated, because its answer was lost, is
   * answered with the operation of the first one.
   */
  once(query: URLSearchParams, make: () => Operation): Operation {
    const requestId = query.get('requestId');
    if (requestId === null) return make();
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(requestId) || /^[0-]+$/.test(requestId))
      throw badRequest(`Invalid value for field 'requestId': '${requestId}'. Must be a non-zero UUID.`);
    const first = this.#known.get(this.#asked.get(requestId) ?? '');
    if (first) return first.operation;
    const operation = make();
    this.#asked.set(requestId, operation.name);
    return operation;
  }

  /** Throws ApiError 404 for one that is not of this zone or region, or (without `place`) not of the project. */
  get(name: string | undefined, place?: string): Operation {
    return this.#find(name, place).operation;
  }

  #find(name: string | undefined, place?: string): Known {
    const found = this.#known.get(name ?? '');
    if (found && placeOf(found.operation) === place) return found;
    const path = `${place ?? `${this.base()}/global`}/operations/${name}`;
    throw notFound(`The resource '${path.slice(path.indexOf('projects/'))}' was not found`);
  }

  /** Answers when the operation is done, or after two minutes with what it is then. */
  async wait(name: string | undefined, place?: string, mostMs = LONGEST_WAIT_MS): Promise<Operation> {
    const { operation, done } = this.#find(name, place);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, mostMs);
    await Promise.race([done, late.promise]);
    clearTimeout(timer);
    return operation;
  }

  /** What the operation failed with, as soon as it is done, however long that takes. */
  async done(name: string): Promise<OperationError | null> {
    return (await this.#known.get(name)?.done) ?? null;
  }

  list(query: URLSearchParams, where?: string): Json {
    const matches = parseFilter(query.get('filter'));
    const all = [...this.#known.values()]
      .map(({ operation }) => operation)
      .filter((operation) => placeOf(operation) === where && matches(operation));
    const place = where ?? `${this.base()}/global`;
    return {
      kind: 'compute#operationList',
      id: `${place.slice(place.indexOf('projects/'))}/operations`,
      ...page(all, orderBy(query, 'insertTime'), query),
      selfLink: `${place}/operations`,
    };
  }

  delete(name: string | undefined, place?: string): void {
    this.#known.delete(this.#find(name, place).operation.name);
  }
}

/** The URL of an operation's zone or region. */
const placeOf = ({ zone, region }: Operation) => zone ?? region;

/** The key by which a list is ordered: names, or with `creationTimestamp desc` the newest first. */
export function orderBy(query: URLSearchParams, timeField: string): (resource: Json) => string {
  const order = query.get('orderBy') ?? 'name';
  if (order === 'name') return ({ name }) => String(name);
  if (order !== 'creationTimestamp desc')
    throw badRequest(
      `Invalid value for field 'orderBy': '${order}'. Supported: name, creationTimestamp desc`,
    );
  return (resource) =>
    `${String(1e15 - Date.parse(String(resource[timeField]))).padStart(16, '0')} ${resource.name}`;
}
