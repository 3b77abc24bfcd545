/** The one WebSocket: connects, notices that it is dead, and connects again. */

import { Backoff } from "./backoff";
import { Signal } from "./signal";

const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 15_000;
/** After so long a connection counts as one: a server that takes it and drops it is not to be asked again at once. */
const HEALTHY_MS = 10_000;
/** The server says something at least every 30 s. */
const SILENCE_MS = 45_000;

/** A candle in a frame; `windowStart` in seconds, `eventTime` in milliseconds. */
export interface RawCandle {
  symbol: string;
  interval: string;
  windowStart: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volumeSum: number;
  eventCount: number;
  /** None where the volume is a rolling one. */
  quoteVolume?: number;
  isClosed: boolean;
  revision: number;
  eventTime: number;
}

export interface Frame {
  type: string;
  symbol?: string;
  data?: unknown;
  /** Of the server's clock. */
  timestamp?: string;
  source?: string;
}

export type Connection = { readonly state: "connecting" | "live" } | { readonly state: "waiting"; readonly until: number };

/** What is used of a WebSocket. */
export interface Socket {
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  close(): void;
}

export class Live {
  readonly frames = new Signal<Frame>();
  readonly changes = new Signal<Connection>();
  connection: Connection = { state: "connecting" };
  private socket: Socket | undefined;
  private readonly backoff: Backoff;
  private openedAt = 0;
  private heardAt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `open` makes a socket, `random` gives numbers in `[0, 1)`. */
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
   * Looks whether the connection is still there, as after a sleep of the machine or of the tab, in which no timer ran and
   * nothing came; where it waits to try again it does so now.
   */
  check(): void {
    if (this.connection.state === "waiting") this.connect();
    else if (Date.now() - this.heardAt > SILENCE_MS) this.lose(true);
  }

  private connect(): void {
    clearTimeout(this.timer);
    this.become({ state: "connecting" });
    const socket = this.open();
    this.socket = socket;
    this.heard();
    socket.onopen = () => {
      this.heard();
      this.openedAt = Date.now();
      this.become({ state: "live" });
    };
    socket.onmessage = (event: MessageEvent) => {
      this.heard();
      if (this.heardAt - this.openedAt >= HEALTHY_MS) this.backoff.reset();
      this.frames.emit(JSON.parse(String(event.data)) as Frame);
    };
    socket.onclose = () => {
      this.lose(false);
    };
  }

  /** Notes that the server is there. The timer is left to run, and looks at its end whether it was too early. */
  private heard(): void {
    const isFirst = this.heardAt === 0;
    this.heardAt = Date.now();
    if (isFirst || this.connection.state === "connecting") this.listen(SILENCE_MS);
  }

  private listen(wait: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const left = SILENCE_MS - (Date.now() - this.heardAt);
      if (left <= 0) this.lose(true);
      else this.listen(left);
    }, wait);
  }

  /** A dead connection may take minutes to close, so it is not waited for. */
  private lose(now: boolean): void {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = undefined;
    if (socket !== undefined) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const isFirst = this.backoff.isFresh;
    const longer = this.backoff.next();
    const wait = now && isFirst ? 0 : longer;
    this.become({ state: "waiting", until: Date.now() + wait });
    this.timer = setTimeout(() => {
      this.connect();
    }, wait);
  }

  private become(connection: Connection): void {
    this.connection = connection;
    this.changes.emit(connection);
  }
}
