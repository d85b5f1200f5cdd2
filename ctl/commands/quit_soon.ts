import { quitCommand } from '../fleet/quit.ts';

export const examples = ['borealisctl quit-soon', 'borealisctl quit-soon demo --base 10 --count 5'];

export default quitCommand(
  'quit-soon',
  'soon',
  'lets VMs finish the task in flight, then stop and delete themselves',
);
