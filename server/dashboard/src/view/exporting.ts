/**
 * The dialog that saves candles as CSV, as the server writes them.
 *
 * Without a key the browser itself downloads the file: it writes the file to the disk as it
 * arrives, shows the progress and can cancel. A link carries no key, so with a key the page reads
 * the file: into the file that the user picks, or into a blob in a browser without a file picker.
 */

import { apiKey, ApiError, type Range } from "../data/api";
import { checkExport, type ExportFile, exportFile, openExport } from "../data/export";
import type { PriceChart } from "./chart";
import { byId, download, save, setText } from "./document";

/** The file picker of some browsers, which TypeScript's library does not declare. */
interface Picker {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<{
    createWritable: () => Promise<WritableStream<Uint8Array>>;
  }>;
}

/** A time as the value of an input of type `datetime-local`, in UTC. */
function inputTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 16);
}

function reason(error: unknown): string {
  // The user has closed the picker.
  if (error instanceof DOMException && error.name === "AbortError") return "";
  if (error instanceof ApiError && error.status === 404) return "There are no closed candles in this range.";
  return error instanceof ApiError ? `Not saved: ${error.message}.` : "Not saved: the download broke off. Please try again.";
}

export class Exporting {
  private readonly dialog = byId("export-dialog", HTMLDialogElement);
  private readonly state = byId("export-state", HTMLParagraphElement);
  private readonly from = byId("export-from", HTMLInputElement);
  private readonly to = byId("export-to", HTMLInputElement);
  private readonly button = byId("export-save", HTMLButtonElement);
  /** Aborts the download that is under way. */
  private running: AbortController | undefined;

  constructor(private readonly chart: PriceChart) {
    this.button.addEventListener("click", () => void this.save());
    // By Cancel, by Escape, or after the download.
    this.dialog.addEventListener("close", () => {
      this.running?.abort();
    });
    for (const input of [this.from, this.to]) {
      input.addEventListener("input", () => {
        const chosen = this.dialog.querySelector<HTMLInputElement>('input[value="chosen"]');
        if (chosen !== null) chosen.checked = true;
      });
    }
  }

  open(): void {
    const shown = this.shownRange();
    setText(this.state, "");
    if (shown?.from !== undefined && shown.to !== undefined) {
      this.from.value = inputTime(shown.from);
      this.to.value = inputTime(shown.to);
    }
    this.dialog.showModal();
  }

  private shownRange(): Range | undefined {
    const closed = this.chart.shown.filter(({ isClosed }) => isClosed);
    const [first] = closed;
    const last = closed.at(-1);
    return first === undefined || last === undefined ? undefined : { from: first.time, to: last.time };
  }

  private chosenRange(): Range | undefined {
    const shown = this.dialog.querySelector<HTMLInputElement>('input[value="shown"]');
    if (shown?.checked === true) return this.shownRange();
    const [from, to] = [this.from, this.to].map(({ value }) => Date.parse(`${value}Z`) / 1000);
    return from !== undefined && to !== undefined && from <= to ? { from, to } : undefined;
  }

  private async save(): Promise<void> {
    const { symbol, interval } = this.chart;
    const { from, to } = this.chosenRange() ?? {};
    if (symbol === undefined || from === undefined || to === undefined) {
      setText(this.state, "There are no closed candles in this range.");
      return;
    }
    const file = exportFile(symbol, interval, { from, to });
    const running = new AbortController();
    this.running = running;
    this.button.disabled = true;
    setText(this.state, "");
    try {
      if (apiKey.get() === null) {
        // The page shows the reason of a failure: the browser would only show that there is no
        // file.
        await checkExport(file, running.signal);
        running.signal.throwIfAborted();
        download(file.path, file.name);
      } else {
        await this.receive(file, running.signal);
      }
      this.dialog.close();
    } catch (error) {
      // After an abort the dialog may be open again for another file.
      if (!running.signal.aborted) setText(this.state, reason(error));
    } finally {
      // Ends the request of a download that failed half-way.
      running.abort();
      if (this.running === running) this.button.disabled = false;
    }
  }

  /** Reads the file with the key of the tab, and saves it. */
  private async receive(file: ExportFile, signal: AbortSignal): Promise<void> {
    const picker = (globalThis as Picker).showSaveFilePicker;
    // The picker comes first: browsers show it only shortly after a click.
    const target = await picker?.({ suggestedName: file.name });
    const bytes = await openExport(file, signal, (count) => {
      setText(this.state, `${(count / 1e6).toFixed(1)} MB …`);
    });
    if (target === undefined) {
      // The browser keeps a large blob on the disk, so a long range does not fill the memory of the
      // tab.
      const blob = await new Response(bytes, { headers: { "Content-Type": "text/csv" } }).blob();
      signal.throwIfAborted();
      save(blob, file.name);
    } else {
      // An existing file is replaced only by a complete one.
      await bytes.pipeTo(await target.createWritable(), { signal });
    }
  }
}
