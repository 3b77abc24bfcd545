/** The dialog that saves candles as CSV, as the server writes them. */

import { type Api, ApiError, type Range } from "../data/api";
import type { PriceChart } from "./chart";
import { byId, save, setText } from "./document";

/** `20251116T0530Z`. */
function compactTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace(/[-:]/g, "")}Z`;
}

/** A time for an input of the kind `datetime-local`, in UTC. */
function inputTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 16);
}

export class Exporting {
  private readonly dialog = byId("export-dialog", HTMLDialogElement);
  private readonly state = byId("export-state", HTMLParagraphElement);
  private readonly from = byId("export-from", HTMLInputElement);
  private readonly to = byId("export-to", HTMLInputElement);
  private readonly button = byId("export-save", HTMLButtonElement);

  constructor(
    private readonly api: Api,
    private readonly chart: PriceChart,
  ) {
    this.button.addEventListener("click", () => void this.save());
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
    const range = this.chosenRange();
    if (symbol === undefined || range?.from === undefined || range.to === undefined) {
      setText(this.state, "There are no closed candles in this range.");
      return;
    }
    this.button.disabled = true;
    try {
      const pages = this.api.csv(symbol, interval, range);
      let rows = 0;
      const stream = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          const next = await pages.next();
          if (next.done === true) {
            controller.close();
            return;
          }
          rows += next.value.split("\n").length - 1;
          setText(this.state, `${String(rows)} lines …`);
          controller.enqueue(new TextEncoder().encode(next.value));
        },
      });
      // The browser keeps a large blob on the disk, so a long range does not fill the memory of the tab.
      const file = await new Response(stream, { headers: { "Content-Type": "text/csv" } }).blob();
      save(file, `${symbol}-${interval}-${compactTime(range.from)}-${compactTime(range.to)}.csv`);
      this.dialog.close();
    } catch (error) {
      setText(this.state, error instanceof ApiError ? `Not saved: ${error.message}` : "Not saved.");
    } finally {
      this.button.disabled = false;
    }
  }
}
