/** Counts what a connection asks of its server, for tests of cost. The connection needs `monitorCommands`. */
import type { MongoClient } from 'mongodb';

export interface Cost {
  commands: string[];
  /** The longest chain of commands in which each was sent after the one before had been answered. */
  roundTrips: number;
}

/** Does `work` and tells what it cost. Nothing else may use the connection meanwhile. */
export async function costOf(client: MongoClient, work: () => Promise<unknown>): Promise<Cost> {
  const commands: string[] = [];
  const depths = new Map<number, number>();
  let answered = 0;
  const onStart = ({ requestId, commandName }: { requestId: number; commandName: string }) => {
    commands.push(commandName);
    depths.set(requestId, answered + 1);
  };
  const onEnd = ({ requestId }: { requestId: number }) => {
    answered = Math.max(answered, depths.get(requestId) ?? 0);
  };
  client.on('commandStarted', onStart).on('commandSucceeded', onEnd).on('commandFailed', onEnd);
  try {
    await work();
  } finally {
    client.off('commandStarted', onStart).off('commandSucceeded', onEnd).off('commandFailed', onEnd);
  }
  return { commands, roundTrips: answered };
}
