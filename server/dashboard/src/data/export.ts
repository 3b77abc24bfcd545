/**
 * Exports: the closed candles of a range as one file, which the server writes as the page reads it.
 */

import { ApiError, request } from "./api";
import { type Interval, SECONDS } from "./candle";

/** A file that the server exports. */
export interface ExportFile {
  readonly path: string;
  /** The name that the server gives the file as well. */
  readonly name: string;
}

/** `20251116T0530Z`. */
function compactTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace(/[-:]/g, "")}Z`;
}

/**
 * Returns the file of the windows that start within these times, in seconds, both ends included.
 */
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

/** Checks that the server has the file, without a key; throws the reason if it has not. */
export async function checkExport({ path }: ExportFile, signal: AbortSignal): Promise<void> {
  await request(path, { method: "HEAD", signal });
}

/**
 * Returns the bytes of the file as they arrive; `onProgress` receives their number so far. The
 * stream ends with an error if the server breaks off or the signal aborts, so a stream that ends
 * well is the whole file.
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
