import { describe, expect, it } from "vitest";
import { oneAtATime } from "../src/view/frame";

/** Lets every promise that can proceed do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

describe("a task that runs one at a time", () => {
  it("runs again after a request during its run", async () => {
    let runs = 0;
    let finish: () => void = () => undefined;
    const start = oneAtATime(() => {
      runs += 1;
      return new Promise((resolve) => {
        finish = () => {
          resolve(false);
        };
      });
    });
    start();
    start();
    start();
    expect(runs).toBe(1);
    finish();
    await settle();
    expect(runs).toBe(2);
    finish();
    await settle();
    expect(runs).toBe(2);
  });

  it("runs until there is no more to do", async () => {
    let left = 3;
    const start = oneAtATime(() => {
      left -= 1;
      return Promise.resolve(left > 0);
    });
    start();
    await settle();
    expect(left).toBe(0);
  });
});
