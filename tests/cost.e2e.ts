/** What a rocket costs in a workflow of 10,000 Fireworks: the same tests as for small ones. */
process.env.BOREALIS_COST_SIZES = '10000';
await import('../core/launchpad/cost.test.ts');

export {};
