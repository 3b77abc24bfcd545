/** The cards: a symbol each, with its price, its day, and whether the price is fresh. */

import type { Candle } from "../data/candle";
import type { Connection } from "../data/live";
import type { Market, Ticker } from "../data/market";
import { Signal } from "../data/signal";
import { percent, price } from "../data/words";
import { byId, make, setText } from "./document";
import { inNextFrame } from "./frame";
import { onThemeChange, readTheme } from "./theme";

const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = DAY_MS / 24;
/** After what silence a price is stale. */
const STALE_MS = 120_000;
/** How often a sparkline is drawn again at most: its last point moves by less than a pixel. */
const SPARK_MS = 5000;
const FLASH_MS = 350;

class Card {
  readonly element: HTMLLIElement;
  readonly button = make("button", "");
  private readonly price = make("span", "price");
  private readonly change = make("span", "change");
  private readonly fresh = make("span", "fresh");
  private readonly badge = make("span", "badge");
  private readonly canvas = make("canvas", "");
  private shown: number | undefined;
  private sparkedAt = 0;
  private flashedAt = 0;

  constructor(private readonly ticker: Ticker) {
    this.button.type = "button";
    this.button.dataset["symbol"] = ticker.symbol;
    this.badge.hidden = true;
    this.canvas.setAttribute("aria-hidden", "true");
    const name = make("span", "name", ticker.symbol, this.badge);
    this.button.append(name, this.fresh, this.canvas, this.price, this.change);
    this.element = make("li", "card", this.button);
  }

  showPrice(now: number): void {
    const { price: value } = this.ticker;
    if (value === undefined || value === this.shown) return;
    const before = this.shown;
    this.shown = value;
    setText(this.price, price(value));
    if (before === undefined) return;
    this.price.dataset["flash"] = value > before ? "up" : "down";
    this.flashedAt = now;
  }

  /** Ends a flash that has lasted long enough. An animation that fades would paint every frame, of every card. */
  endFlash(now: number): void {
    if (this.flashedAt === 0 || now - this.flashedAt < FLASH_MS) return;
    this.flashedAt = 0;
    delete this.price.dataset["flash"];
  }

  /** The change since the first of the candles, which is a day ago or as long as there has been a market. */
  showChange(candles: readonly Candle[], now: number): void {
    const [first] = candles;
    if (first === undefined || this.ticker.price === undefined) {
      setText(this.change, "–");
      return;
    }
    const value = (this.ticker.price / first.open - 1) * 100;
    const age = now - first.time * 1000;
    const hours = Math.min(24, Math.round(age / HOUR_MS));
    // The market is as young as its first candle.
    const span = age < HOUR_MS ? `${String(Math.max(1, Math.round(age / 60_000)))}m` : `${String(hours)}h`;
    setText(this.change, `${percent(value)} ${span}`);
    this.change.className = `change ${value > 0 ? "up" : value < 0 ? "down" : ""}`;
    this.change.title = hours >= 24 ? "over 24 hours" : `since the first candle, ${span} ago`;
  }

  showFreshness(connected: boolean, now: number): void {
    const silence = now - this.ticker.heardAt;
    const isStale = this.ticker.isStale || silence > STALE_MS;
    const state = !connected ? "disconnected" : isStale ? "stale" : "live";
    const minutes = Math.floor(silence / 60_000);
    const words = state === "live" ? this.ticker.name : state === "stale" ? `stale, ${String(minutes)} min` : "disconnected";
    setText(this.fresh, this.ticker.heardAt === 0 ? "no price yet" : words);
    this.fresh.dataset["state"] = state;
    this.fresh.title = state === "live" ? `${this.ticker.name}: live` : state;
  }

  showAlerts(count: number): void {
    this.badge.hidden = count === 0;
    setText(this.badge, String(count));
    this.badge.title = `${String(count)} alerts in the last hour`;
    this.badge.setAttribute("aria-label", this.badge.title);
    this.badge.role = "img";
  }

  drawSpark(candles: readonly Candle[], now: number, force: boolean): boolean {
    if (!force && now - this.sparkedAt < SPARK_MS) return false;
    if (candles.length < 2) return true;
    this.sparkedAt = now;
    const scale = devicePixelRatio;
    const [width, height] = [58 * scale, 30 * scale];
    this.canvas.width = width;
    this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    if (context === null) return true;
    const closes = candles.map((candle) => candle.close);
    const low = Math.min(...closes);
    const span = Math.max(...closes) - low || 1;
    const theme = readTheme();
    const rises = (closes.at(-1) ?? 0) >= (candles[0]?.open ?? 0);
    context.strokeStyle = rises ? theme.up : theme.down;
    context.lineWidth = 1.2 * scale;
    context.lineJoin = "round";
    closes.forEach((close, index) => {
      const x = (index / (closes.length - 1)) * (width - 4) + 2;
      const y = height - 3 * scale - ((close - low) / span) * (height - 6 * scale);
      if (index === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    });
    context.stroke();
    return true;
  }
}

export class Cards {
  /** The symbol that was chosen. */
  readonly onChoose = new Signal<string>();
  private readonly list = byId("cards", HTMLUListElement);
  private readonly cards = new Map<string, Card>();
  private readonly movedPrices = new Set<string>();
  private readonly movedDays = new Set<string>();
  private chosen: string | undefined;
  private filter = "";
  private isConnected = false;

  constructor(private readonly market: Market) {
    market.onSymbols.on(() => {
      this.addCards();
    });
    market.onTicker.on(({ symbol }) => {
      this.movedPrices.add(symbol);
      inNextFrame(this.draw);
    });
    market.onSeries.on(({ symbol, interval }) => {
      if (interval !== "15m") return;
      this.movedDays.add(symbol);
      // The change of the day is made of it too.
      this.movedPrices.add(symbol);
      inNextFrame(this.draw);
    });
    market.alerts.onAlert.on(() => {
      inNextFrame(this.showAlerts);
    });
    this.list.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      const symbol = button?.dataset["symbol"];
      if (symbol !== undefined) this.onChoose.emit(symbol);
    });
    onThemeChange(() => {
      for (const [symbol, card] of this.cards) card.drawSpark(this.day(symbol), Date.now(), true);
    });
    setInterval(() => {
      const now = Date.now();
      for (const card of this.cards.values()) card.endFlash(now);
    }, FLASH_MS / 3);
    setInterval(() => {
      this.showFreshness();
      this.showAlerts();
      for (const symbol of this.cards.keys()) this.movedPrices.add(symbol);
      inNextFrame(this.draw);
    }, 5000);
  }

  /** The symbols whose cards are shown, in their order. */
  get shown(): string[] {
    return [...this.cards.keys()].filter((symbol) => this.matches(symbol));
  }

  connection({ state }: Connection): void {
    this.isConnected = state === "live";
    this.showFreshness();
  }

  choose(symbol: string): void {
    this.chosen = symbol;
    for (const [each, { button, element }] of this.cards) {
      if (each !== symbol) button.removeAttribute("aria-current");
      else {
        button.setAttribute("aria-current", "true");
        element.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
    }
  }

  /** Shows the cards whose symbol or name has this in it. */
  search(text: string): void {
    this.filter = text.trim().toLowerCase();
    for (const [symbol, { element }] of this.cards) element.hidden = !this.matches(symbol);
    const empty = byId("no-cards", HTMLParagraphElement);
    empty.hidden = this.shown.length > 0;
    setText(empty, this.cards.size === 0 ? "Waiting for the first prices" : `No symbol like “${text}”`);
  }

  private matches(symbol: string): boolean {
    const name = this.market.tickers.get(symbol)?.name ?? "";
    return `${symbol} ${name}`.toLowerCase().includes(this.filter);
  }

  private day(symbol: string): readonly Candle[] {
    const from = Math.floor((Date.now() - DAY_MS) / 1000 / 900) * 900;
    return this.market.seriesOf(symbol, "15m")?.between(from, Infinity) ?? [];
  }

  private addCards(): void {
    const symbols = [...this.market.tickers.keys()].sort();
    if (symbols.every((symbol) => this.cards.has(symbol))) {
      this.showFreshness();
      return;
    }
    for (const symbol of symbols) {
      const ticker = this.market.tickers.get(symbol);
      if (ticker === undefined) continue;
      const card = this.cards.get(symbol) ?? new Card(ticker);
      // Taken out and put in again, so that the map has the order of the list.
      this.cards.delete(symbol);
      this.cards.set(symbol, card);
      this.list.append(card.element);
      this.movedPrices.add(symbol);
      this.movedDays.add(symbol);
    }
    setText(byId("count", HTMLSpanElement), String(symbols.length));
    this.search(this.filter);
    if (this.chosen !== undefined) this.choose(this.chosen);
    this.showFreshness();
    inNextFrame(this.draw);
    inNextFrame(this.showAlerts);
  }

  private readonly draw = (): void => {
    const now = Date.now();
    for (const symbol of this.movedPrices) {
      const card = this.cards.get(symbol);
      card?.showPrice(now);
      card?.showChange(this.day(symbol), now);
      card?.showFreshness(this.isConnected, now);
    }
    this.movedPrices.clear();
    for (const symbol of this.movedDays) {
      if (this.cards.get(symbol)?.drawSpark(this.day(symbol), now, false) === true) this.movedDays.delete(symbol);
    }
  };

  private showFreshness(): void {
    for (const card of this.cards.values()) card.showFreshness(this.isConnected, Date.now());
  }

  private readonly showAlerts = (): void => {
    const since = (Date.now() - HOUR_MS) / 1000;
    const counts = new Map<string, number>();
    for (const { symbol, time, isRetracted } of this.market.alerts.all) {
      if (!isRetracted && time >= since) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    }
    for (const [symbol, card] of this.cards) card.showAlerts(counts.get(symbol) ?? 0);
  };
}
