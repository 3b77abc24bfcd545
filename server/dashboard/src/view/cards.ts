/** The cards: one for each symbol, with its price, its day, and the freshness of the price. */

import type { Candle } from "../data/candle";
import type { ConnectionState } from "../data/live";
import type { Market, Ticker } from "../data/market";
import { Signal } from "../data/signal";
import { duration, percent, price } from "../data/format";
import { byId, make, setText } from "./document";
import { inNextFrame } from "./frame";
import { onThemeChange, readTheme } from "./theme";

const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = DAY_MS / 24;
const QUARTER_SECONDS = 15 * 60;
/** The time between two drawings of a sparkline, whose last point moves by less than a pixel. */
const SPARK_INTERVAL_MS = 5000;
/**
 * The time between two checks of what passes with time alone: freshness, and alerts of the last
 * hour.
 */
const CHECK_INTERVAL_MS = 5000;
const FLASH_MS = 350;
/** The size of a sparkline, in CSS pixels. */
const SPARK_SIZE = { width: 58, height: 30 };

class Card {
  readonly element: HTMLLIElement;
  readonly button = make("button", "");
  private readonly price = make("span", "price");
  private readonly change = make("span", "change");
  private readonly freshness = make("span", "freshness");
  private readonly badge = make("span", "badge");
  private readonly canvas = make("canvas", "");
  private shownPrice: number | undefined;
  private sparkedAt = 0;
  private flashedAt = 0;

  constructor(
    private readonly ticker: Ticker,
    private readonly market: Market,
  ) {
    this.button.type = "button";
    this.button.dataset["symbol"] = ticker.symbol;
    this.badge.hidden = true;
    this.canvas.setAttribute("aria-hidden", "true");
    const name = make("span", "name", ticker.symbol, this.badge);
    this.button.append(name, this.freshness, this.canvas, this.price, this.change);
    this.element = make("li", "card", this.button);
  }

  showPrice(now: number): void {
    const { price: value } = this.ticker;
    if (value === undefined || value === this.shownPrice) return;
    const before = this.shownPrice;
    this.shownPrice = value;
    setText(this.price, price(value));
    if (before === undefined) return;
    this.price.dataset["flash"] = value > before ? "up" : "down";
    this.flashedAt = now;
  }

  /** Ends a flash after its time. A fading animation would paint every frame of every card. */
  endFlash(now: number): void {
    if (this.flashedAt === 0 || now - this.flashedAt < FLASH_MS) return;
    this.flashedAt = 0;
    delete this.price.dataset["flash"];
  }

  /** Shows the change since the first candle, which is a day old, or as old as the market. */
  showChange(candles: readonly Candle[], now: number): void {
    const [first] = candles;
    if (first === undefined || this.ticker.price === undefined) {
      setText(this.change, "–");
      return;
    }
    const value = (this.ticker.price / first.open - 1) * 100;
    const age = now - first.time * 1000;
    const hours = Math.min(24, Math.round(age / HOUR_MS));
    const span = age < HOUR_MS ? `${String(Math.max(1, Math.round(age / 60_000)))}m` : `${String(hours)}h`;
    setText(this.change, `${percent(value)} ${span}`);
    this.change.className = `change ${value > 0 ? "up" : value < 0 ? "down" : ""}`;
    this.change.title = hours >= 24 ? "over 24 hours" : `since the first candle, ${span} ago`;
  }

  showFreshness(isConnected: boolean, now: number): void {
    const silence = now - this.ticker.heardAt;
    const isStale = this.market.isStale(this.ticker, now);
    const state = !isConnected ? "disconnected" : isStale ? "stale" : "live";
    const texts = { live: this.ticker.name, stale: `stale, ${duration(silence / 1000)}`, disconnected: "disconnected" };
    setText(this.freshness, this.ticker.heardAt === 0 ? "no price yet" : texts[state]);
    this.freshness.dataset["state"] = state;
    this.freshness.title = state === "live" ? `${this.ticker.name}: live` : state;
  }

  showAlerts(count: number): void {
    this.badge.hidden = count === 0;
    setText(this.badge, String(count));
    this.badge.title = `${String(count)} alerts in the last hour`;
    this.badge.setAttribute("aria-label", this.badge.title);
    this.badge.role = "img";
  }

  /** Draws the sparkline; `false` if the last drawing is too recent. */
  drawSpark(candles: readonly Candle[], now: number, force: boolean): boolean {
    if (!force && now - this.sparkedAt < SPARK_INTERVAL_MS) return false;
    if (candles.length < 2) return true;
    this.sparkedAt = now;
    const scale = devicePixelRatio;
    const [width, height] = [SPARK_SIZE.width * scale, SPARK_SIZE.height * scale];
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
    market.candles.onChange.on(({ symbol, interval }) => {
      if (interval !== "15m") return;
      this.movedDays.add(symbol);
      // The change of the day depends on it too.
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
    }, CHECK_INTERVAL_MS);
  }

  /** The symbols of the visible cards, in their order. */
  get shown(): string[] {
    return [...this.cards.keys()].filter((symbol) => this.matches(symbol));
  }

  showConnection({ state }: ConnectionState): void {
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

  /** Shows the cards whose symbol or name contains the text. */
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
    const from = Math.floor((Date.now() - DAY_MS) / 1000 / QUARTER_SECONDS) * QUARTER_SECONDS;
    return this.market.candles.get(symbol, "15m")?.between(from, Infinity) ?? [];
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
      const card = this.cards.get(symbol) ?? new Card(ticker, this.market);
      // Removed and added again, so that the map has the order of the list.
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
