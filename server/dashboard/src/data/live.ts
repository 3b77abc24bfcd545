/** The one WebSocket: connects, detects a dead connection, and reconnects. */

import type { SentAlert } from "./alert";
import { Backoff } from "./backoff";
import { Signal } from "./signal";

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 15_000;
/**
 * A connection counts as healthy after this time: one that is dropped earlier is reopened with a
 * longer wait.
 */
const HEALTHY_AFTER_MS = 10_000;
const CONNECT_TIMEOUT_MS = 30_000;
/** The longest delay of a keepalive frame on its way from the server. */
const MAX_KEEPALIVE_DELAY_MS = 15_000;
/** The longest wait that `setTimeout` takes; a longer one would end at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A candle in a frame; `windowStart` in seconds, `eventTime` in milliseconds. Frames are not part
 * of the OpenAPI document, so this type is written by hand.
 */
export interface SentCandle {
  readonly symbol: string;
  readonly interval: string;
  readonly windowStart: number;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volumeSum: number;
  readonly eventCount: number;
  /** Absent if the volume is a rolling 24-hour figure. */
  readonly quoteVolume?: number;
  readonly isClosed: boolean;
  readonly revision: number;
  readonly eventTime: number;
}

/** A frame of the server; `timestamp` is the time of the server's clock. */
export type Frame = { readonly timestamp?: string; readonly source?: string } & (
  | { readonly type: "initial_data" | "price_update"; readonly data: SentCandle }
  | { readonly type: "alert"; readonly data: SentAlert }
  | { readonly type: "resync_required" | "keepalive" }
);

export type ConnectionState =
  | { readonly state: "connecting" | "live" }
  | { readonly state: "waiting"; readonly until: number };

/** The part of `WebSocket` that is used. */
export interface Socket {
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  close(): void;
}

export class Live {
  readonly frames = new Signal<Frame>();
  readonly changes = new Signal<ConnectionState>();
  connection: ConnectionState = { state: "connecting" };
  private socket: Socket | undefined;
  private readonly backoff: Backoff;
  private openedAt = 0;
  private heardAt = 0;
  private keepaliveMs: number | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `open` makes a socket, `random` returns numbers in `[0, 1)`. */
  constructor(
    private readonly open: () => Socket,
    random: () => number = Math.random,
  ) {
    this.backoff = new Backoff(FIRST_WAIT_MS, MAX_WAIT_MS, random);
  }

  start(): void {
    this.connect();
  }

  /**
   * Sets the silence after which the server sends a keepalive frame, in milliseconds. A live
   * connection that is silent for longer is dead. Until the setting is known no silence is too
   * long.
   */
  setKeepalive(keepaliveMs: number): void {
    if (keepaliveMs === this.keepaliveMs) return;
    this.keepaliveMs = keepaliveMs;
    if (this.connection.state === "live") this.watchSilence();
  }

  /**
   * Checks the connection after a sleep of the machine or of the tab, during which no timer ran. A
   * pending reconnect is made at once.
   */
  check(): void {
    if (this.connection.state === "waiting") this.connect();
    else if (Date.now() - this.heardAt > this.maxSilenceMs) this.reconnect("at once");
  }

  private get maxSilenceMs(): number {
    if (this.connection.state === "connecting") return CONNECT_TIMEOUT_MS;
    return this.keepaliveMs === undefined ? Infinity : this.keepaliveMs + MAX_KEEPALIVE_DELAY_MS;
  }

  private connect(): void {
    this.setState({ state: "connecting" });
    const socket = this.open();
    this.socket = socket;
    this.heardAt = Date.now();
    this.watchSilence();
    socket.onopen = () => {
      this.heardAt = Date.now();
      this.openedAt = this.heardAt;
      this.setState({ state: "live" });
      this.watchSilence();
    };
    socket.onmessage = (event: MessageEvent) => {
      this.heardAt = Date.now();
      if (this.heardAt - this.openedAt >= HEALTHY_AFTER_MS) this.backoff.reset();
      this.frames.emit(JSON.parse(String(event.data)) as Frame);
    };
    socket.onclose = () => {
      this.reconnect("after a wait");
    };
  }

  /**
   * Starts the timer of silence. A frame leaves the timer running: its end checks the time of the
   * last frame.
   */
  private watchSilence(): void {
    clearTimeout(this.timer);
    const left = this.heardAt + this.maxSilenceMs - Date.now();
    if (left === Infinity) return;
    this.timer = setTimeout(
      () => {
        if (Date.now() - this.heardAt >= this.maxSilenceMs) this.reconnect("at once");
        else this.watchSilence();
      },
      Math.min(left, MAX_TIMER_MS),
    );
  }

  /**
   * Drops the socket and schedules the next one. A dead connection may take minutes to close, so
   * its close event is not awaited. Only the first failure in a row is followed by an attempt at
   * once.
   */
  private reconnect(when: "at once" | "after a wait"): void {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = undefined;
    if (socket !== undefined) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const isFirst = this.backoff.isFresh;
    const backoff = this.backoff.next();
    const wait = when === "at once" && isFirst ? 0 : backoff;
    this.setState({ state: "waiting", until: Date.now() + wait });
    this.timer = setTimeout(() => {
      this.connect();
    }, wait);
  }

  private setState(connection: ConnectionState): void {
    this.connection = connection;
    this.changes.emit(connection);
  }
}
