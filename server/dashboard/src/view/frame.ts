/** Drawing in step with the frames of the screen. */

const waiting = new Set<() => void>();

/** Runs a task in the next frame, once, however often it is requested until then. */
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
      // The failure of one drawing is reported, and does not stop the others.
      reportError(error);
    }
  }
}

/**
 * Resolves when what is drawn now is on the screen: the library paints in the next frame, and the
 * one after shows it.
 */
export function afterPaint(): Promise<void> {
  return new Promise((resolve) => {
    requestAnimationFrame(() => {
      requestAnimationFrame(() => {
        resolve();
      });
    });
  });
}

/**
 * Returns a function that starts a task, one run at a time. The task runs again after a run that
 * returned `true`, and after a run during which it was requested.
 */
export function oneAtATime(task: () => Promise<boolean>): () => void {
  let isRunning = false;
  let isRequested = false;
  const run = async (): Promise<void> => {
    if (isRunning) return;
    isRunning = true;
    try {
      while (isRequested) {
        isRequested = false;
        if (await task()) isRequested = true;
      }
    } finally {
      isRunning = false;
    }
  };
  return () => {
    isRequested = true;
    void run();
  };
}
