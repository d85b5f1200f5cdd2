import { quitCommand } from '../fleet/quit.ts';

export const examples = ['borealisctl quit-when-idle', 'borealisctl quit-when-idle demo --count 5'];

export default quitCommand(
  'quit-when-idle',
  'when-idle',
  'lets VMs stop and delete themselves when nothing is READY',
);
