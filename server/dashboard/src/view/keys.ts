/** The keyboard: the search field, and the keys of the page. */

import { type Interval, INTERVALS } from "../data/candle";
import { byId } from "./document";

/** Elements that use the arrow keys or digits themselves. */
const KEY_USERS = "input, select, dialog, .list, .matrix";

/** Commands that the keys give. */
export interface Commands {
  search(text: string): void;
  /** Shows the first symbol that the search has found. */
  openFound(): void;
  /** Shows the symbol this many cards further on. */
  step(by: 1 | -1): void;
  chooseInterval(interval: Interval): void;
}

export function listenToKeys(commands: Commands): void {
  const search = byId("search", HTMLInputElement);
  search.addEventListener("input", () => {
    commands.search(search.value);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    if (event.key === "Enter") commands.openFound();
    search.value = "";
    commands.search("");
    search.blur();
  });
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (event.ctrlKey || event.metaKey || event.altKey || target?.closest(KEY_USERS) != null) return;
    const interval = INTERVALS[Number(event.key) - 1];
    if (event.key === "/") search.focus();
    else if (event.key === "ArrowDown" || event.key === "ArrowRight") commands.step(1);
    else if (event.key === "ArrowUp" || event.key === "ArrowLeft") commands.step(-1);
    else if (interval !== undefined) commands.chooseInterval(interval);
    else return;
    event.preventDefault();
  });
}
