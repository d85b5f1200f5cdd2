import { expect, test } from 'bun:test';
import { Budget } from './budget.ts';

const over = (budget: Budget) => new Promise((resolve) => budget.signal.addEventListener('abort', resolve));

test('its signal aborts when the time is over', async () => {
  using budget = new Budget(20);
  expect(budget.signal.aborted).toBe(false);
  await over(budget);
  expect(budget.signal.reason.message).toBe('the time is up');
});

test('what passes while it pauses does not count', async () => {
  using budget = new Budget(60);
  budget.pause();
  await Bun.sleep(120);
  expect(budget.signal.aborted).toBe(false);
  const went = performance.now();
  budget.go();
  await over(budget);
  expect(performance.now() - went).toBeGreaterThan(20);
});

test('a month is not cut by the longest timer there is', async () => {
  using budget = new Budget(31 * 24 * 3600 * 1000);
  await Bun.sleep(5);
  expect(budget.signal.aborted).toBe(false);
});

test('it knows what it is spent on, and what failed', async () => {
  using budget = new Budget(1000);
  await budget.during('inputs were being fetched', Promise.resolve());
  expect(budget.spentOn).toBe('');
  const { promise, reject } = Promise.withResolvers<void>();
  const pulling = budget.during('the image was being pulled', promise);
  budget.during('the command ran', new Promise<never>(() => {}));
  reject(new Error('the time is up'));
  await expect(pulling).rejects.toThrow('the time is up');
  expect(budget.spentOn).toBe('the image was being pulled and the command ran');
});
