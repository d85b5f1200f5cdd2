/** SCRAM-SHA-256 (RFC 5802, RFC 7677) for the one user that the server was started with. */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { Binary } from 'bson';
import { authenticationFailed, MongoAnswer } from './errors.ts';

const ITERATIONS = 15_000;

const hmac = (key: Uint8Array, text: string) => createHmac('sha256', key).update(text).digest();
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();

/** What the server keeps of the password: enough to check a proof, not to make one. */
export interface Credentials {
  user: string;
  salt: Buffer;
  storedKey: Buffer;
  serverKey: Buffer;
}

export function credentialsOf(user: string, password: string): Credentials {
  const salt = randomBytes(28);
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, ITERATIONS, 32, 'sha256');
  return { user, salt, storedKey: hash(hmac(salted, 'Client Key')), serverKey: hmac(salted, 'Server Key') };
}

type Answer = Record<string, unknown>;

type Stage = { at: 'start' } | { at: 'proof'; bare: string; first: string; nonce: string } | { at: 'last' };

/** One connection's authentication: start -> proof -> (last) -> done. Any failure goes back to start. */
export class Scram {
  #stage: Stage = { at: 'start' };
  authenticated = false;

  constructor(readonly credentials: Credentials) {}

  /** saslStart, also inside a hello (`speculativeAuthenticate`). */
  start(command: Answer): Answer {
    if (command.mechanism !== 'SCRAM-SHA-256') {
      throw new MongoAnswer(
        334,
        'MechanismUnavailable',
        `Received authentication for mechanism ${String(command.mechanism)} which is not enabled`,
      );
    }
    const [, , bare = ''] = /^([ny],[^,]*,)(.*)$/.exec(text(command.payload)) ?? [];
    const fields = parse(bare);
    const user = (fields.n ?? '').replaceAll('=2C', ',').replaceAll('=3D', '=');
    if (user !== this.credentials.user || !fields.r) throw authenticationFailed();
    const nonce = fields.r + randomBytes(18).toString('base64');
    const first = `r=${nonce},s=${this.credentials.salt.toString('base64')},i=${ITERATIONS}`;
    this.#stage = { at: 'proof', bare, first, nonce };
    return answer(false, first);
  }

  /** saslContinue: the client's proof, then (unless skipEmptyExchange) one empty message. */
  continue(command: Answer): Answer {
    const stage = this.#stage;
    this.#stage = { at: 'start' };
    if (stage.at === 'last') {
      this.authenticated = true;
      return answer(true, '');
    }
    if (stage.at !== 'proof') throw new MongoAnswer(17, 'ProtocolError', 'No SASL session state found');
    const message = text(command.payload);
    const fields = parse(message);
    const withoutProof = message.replace(/,p=[^,]*$/, '');
    const transcript = `${stage.bare},${stage.first},${withoutProof}`;
    const signature = hmac(this.credentials.storedKey, transcript);
    const proof = Buffer.from(fields.p ?? '', 'base64');
    if (fields.r !== stage.nonce || proof.length !== signature.length) throw authenticationFailed();
    const clientKey = Buffer.from(proof.map((byte, i) => byte ^ (signature[i] as number)));
    if (!timingSafeEqual(hash(clientKey), this.credentials.storedKey)) throw authenticationFailed();
    // The client sends one more, empty message unless it asked to skip it: it is authenticated already.
    this.authenticated = true;
    this.#stage = { at: 'last' };
    return answer(true, `v=${hmac(this.credentials.serverKey, transcript).toString('base64')}`);
  }
}

function answer(done: boolean, payload: string): Answer {
  return { conversationId: 1, done, payload: new Binary(Buffer.from(payload)) };
}

function text(payload: unknown): string {
  return payload instanceof Binary ? Buffer.from(payload.value()).toString('utf8') : String(payload);
}

function parse(message: string): Record<string, string> {
  return Object.fromEntries(message.split(',').map((part) => [part[0] ?? '', part.slice(2)]));
}
