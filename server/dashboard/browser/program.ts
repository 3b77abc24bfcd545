/**
 * A program for one test file: `tallow up` on a free port, with a data folder that is removed in
 * the end.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";

const BINARY = process.env["TALLOW_BIN"] ?? fileURLToPath(new URL("../../../target/debug/tallow", import.meta.url));

/** The longest time that a test waits for something: a busy machine may need most of it. */
export const DEADLINE_SECONDS = 180;
const LOOK_INTERVAL_MS = 50;
/** The longest time of a start, in which the program settles hours of backfilled trades. */
const START_DEADLINE_SECONDS = 900;

/**
 * Waits until `look` returns something, and returns that; throws what was awaited after the
 * deadline.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  seconds = DEADLINE_SECONDS,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  let failure: unknown;
  while (Date.now() < deadline) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      failure = error;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL_MS));
  }
  throw new Error(`waited ${String(seconds)} s for ${what}`, { cause: failure });
}

/** A candle of the API. */
export interface Row {
  window_start: string;
  open_price: number;
  high_price: number;
  low_price: number;
  close_price: number;
  volume_sum: number;
}

export class Program {
  private child: ChildProcess | undefined;
  private output = "";
  port = 0;

  private constructor(
    private readonly folder: string,
    private readonly flags: readonly string[],
    private readonly settings: Readonly<Record<string, string>>,
  ) {}

  static async start(flags: readonly string[], settings: Readonly<Record<string, string>>): Promise<Program> {
    const program = new Program(await mkdtemp(join(tmpdir(), "tallow-dashboard-")), flags, settings);
    await program.run();
    return program;
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.port)}`;
  }

  /**
   * Starts the program, on the port of its last run if there was one, and waits until it is ready.
   */
  async run(): Promise<void> {
    const flags = ["up", "--data", this.folder, "--port", String(this.port), ...this.flags];
    this.output = "";
    const child = spawn(BINARY, flags, { env: { ...process.env, ...this.settings, NO_COLOR: "1" } });
    this.child = child;
    const collect = (text: Buffer): void => {
      this.output += text.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", (error) => {
      this.output += String(error);
    });
    this.port = await until(`${BINARY} to listen`, () => {
      if (child.exitCode !== null) throw new Error(this.output);
      return Promise.resolve(Number(/listening url="?http:\/\/127\.0\.0\.1:(\d+)/.exec(this.output)?.[1]) || undefined);
    });
    const isReady = async (): Promise<boolean> => (await fetch(`${this.url}/ready`)).ok;
    await until("the pipeline to have caught up", isReady, START_DEADLINE_SECONDS);
  }

  /** Kills the program, as a failure of the machine would. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child?.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async end(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async text(path: string): Promise<string> {
    const response = await fetch(`${this.url}${path}`);
    if (!response.ok) throw new Error(`${path}: ${String(response.status)} ${await response.text()}`);
    return response.text();
  }

  /** All closed candles from this time on, in seconds, oldest first. */
  async candles(symbol: string, interval: string, from = 0): Promise<Row[]> {
    const rows: Row[] = [];
    for (;;) {
      const last = rows.at(-1);
      const start = last === undefined ? from * 1000 : Date.parse(last.window_start) + 1;
      const response = await fetch(
        `${this.url}/api/v1/historical/${symbol}?interval=${interval}&order_by=asc&limit=1000&start_time=${String(start)}`,
      );
      if (response.status === 404) return rows;
      const page = (await response.json()) as Row[];
      rows.push(...page);
      if (page.length < 1000) return rows;
    }
  }
}

/**
 * The share of a core that a page uses until `isOver`. The share is computed from processor time,
 * which does not grow when other programs keep the machine busy.
 */
export async function cpuShare(page: Page, isOver: () => Promise<unknown>): Promise<{ scripts: number; all: number }> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const metricsNow = async (): Promise<Record<string, number>> => {
    const { metrics } = await session.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  const start = Date.now();
  const before = await metricsNow();
  await isOver();
  const after = await metricsNow();
  const seconds = (Date.now() - start) / 1000;
  const shareOf = (name: string): number => ((after[name] ?? 0) - (before[name] ?? 0)) / seconds;
  await session.detach();
  return { scripts: shareOf("ScriptDuration"), all: shareOf("TaskDuration") };
}

/**
 * A proxy of a program that can be cut off and opened again, as a machine that sleeps or a network
 * that fails.
 */
export class CuttableProxy {
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((near) => {
    const far = connect(this.to, "127.0.0.1");
    for (const [socket, peer] of [[near, far], [far, near]] as const) {
      this.sockets.add(socket);
      socket.pipe(peer);
      // A close event follows the error, and destroys the other end.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.sockets.delete(socket);
        peer.destroy();
      });
    }
  });
  private port = 0;

  constructor(private readonly to: number) {}

  get url(): string {
    return `http://127.0.0.1:${String(this.port)}`;
  }

  /** Opens the proxy, on its last port if it had one. */
  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.port, "127.0.0.1", resolve);
    });
    this.port = (this.server.address() as AddressInfo).port;
  }

  async cut(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
