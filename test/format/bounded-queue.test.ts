import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BoundedQueue, runLoops } from "../../src/format/bounded-queue.ts";

async function drain<T>(queue: BoundedQueue<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

test("everything comes out in order, however full it gets and whoever is slow", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat()),
      fc.integer({ min: 1, max: 4 }),
      fc.scheduler(),
      async (items, limit, scheduler) => {
        const queue = new BoundedQueue<number>(limit);
        const taken: number[] = [];
        const write = async (): Promise<void> => {
          for (const item of items) {
            await scheduler.schedule(Promise.resolve());
            await queue.push(item);
          }
          queue.close();
        };
        const read = async (): Promise<void> => {
          for await (const item of queue) {
            await scheduler.schedule(Promise.resolve());
            taken.push(item);
          }
        };

        await scheduler.waitFor(Promise.all([write(), read()]));

        expect(taken).toEqual(items);
      },
    ),
  );
});

test("the writer waits while it is full", async () => {
  const queue = new BoundedQueue<number>(2);
  await queue.push(1);
  await queue.push(2);
  let pushed = false;
  const third = queue.push(3).then(() => {
    pushed = true;
  });

  await turn();
  expect([queue.full, pushed]).toEqual([true, false]);
  queue.close();
  expect(await drain(queue)).toEqual([1, 2, 3]);
  await third;
});

test("what was pushed before the close still comes out", async () => {
  const queue = new BoundedQueue<string>(5);
  await queue.push("last");
  queue.close();

  expect(await drain(queue)).toEqual(["last"]);
});

test("a failure reaches both ends, waiting ones too, and the first one counts", async () => {
  const full = new BoundedQueue<number>(1);
  await full.push(1);
  const writing = expect(full.push(2)).rejects.toThrow("disk");
  const empty = new BoundedQueue<number>(1);
  const reading = expect(drain(empty)).rejects.toThrow("disk");
  await turn();

  for (const queue of [full, empty]) {
    queue.fail(new Error("disk"));
    queue.fail(new Error("later"));
  }

  await Promise.all([writing, reading]);
  await expect(full.push(3)).rejects.toThrow("disk");
  await expect(drain(full)).rejects.toThrow("disk");
});

test("loops that feed each other end with the first failure, though one waits for what never comes", async () => {
  const queue = new BoundedQueue<number>(1);
  const never = new Promise<void>(() => undefined);
  const reading = drain(queue).then(() => undefined);

  const running = runLoops([reading, never, Promise.reject(new Error("broken"))], [queue]);

  await expect(running).rejects.toThrow("broken");
  await expect(reading).rejects.toThrow("broken");
});
