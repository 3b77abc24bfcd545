/** Work for the next frame: however often it is asked for until then, it is done once. */

const waiting = new Set<() => void>();

export function inNextFrame(task: () => void): void {
  if (waiting.size === 0) requestAnimationFrame(run);
  waiting.add(task);
}

function run(): void {
  const tasks = [...waiting];
  waiting.clear();
  for (const task of tasks) {
    try {
      task();
    } catch (error) {
      // What is wrong with one drawing is told, and does not keep the others from being done.
      reportError(error);
    }
  }
}
