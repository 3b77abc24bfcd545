/** Exports: the closed candles of a range as one file, which the server writes while it is read. */

import { ApiError, request } from "./api";
import { type Interval, SECONDS } from "./candle";

/** A file of the server's. */
export interface ExportFile {
  readonly path: string;
  /** As the server names it, too. */
  readonly name: string;
}

/** `20251116T0530Z`. */
function compactTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace(/[-:]/g, "")}Z`;
}

/** The windows of a symbol that start within these times, the last of which is in it as well. */
export function exportFile(symbol: string, interval: Interval, range: { from: number; to: number }): ExportFile {
  const length = SECONDS[interval];
  const from = Math.ceil(range.from / length) * length;
  const end = (Math.floor(range.to / length) + 1) * length;
  const query = `interval=${interval}&format=csv&order_by=asc&start_time=${String(from * 1000)}&end_time=${String(end * 1000)}`;
  return {
    path: `/api/v1/historical/${encodeURIComponent(symbol)}/export?${query}`,
    name: `${symbol}-${interval}-${compactTime(from)}-${compactTime(end)}.csv`,
  };
}

/** Whether the server has the file for whoever has no key: an error says why not. */
export async function checkExport({ path }: ExportFile, signal: AbortSignal): Promise<void> {
  await request(path, { method: "HEAD", signal });
}

/**
 * The bytes of the file as they come, and how many there have been so far. They end with an error where the server breaks
 * off or the signal says so, and only then: what has ended well is whole.
 */
export async function openExport(
  { path }: ExportFile,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<ReadableStream<Uint8Array>> {
  const { body } = await request(path, { signal });
  if (body === null) throw new ApiError(0, "the server sent nothing");
  let bytes = 0;
  const counting = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.length;
      onProgress(bytes);
      controller.enqueue(chunk);
    },
  });
  return body.pipeThrough(counting);
}
