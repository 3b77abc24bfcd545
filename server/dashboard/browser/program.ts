/** A program of its own for a test: `tallow up` on a free port, over a folder that is removed in the end. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";

export const BINARY = process.env["TALLOW_BIN"] ?? fileURLToPath(new URL("../../../target/debug/tallow", import.meta.url));

/** Waits until something holds, and fails with what was awaited where it does not within the time. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>, seconds = 60): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  let failure: unknown;
  while (Date.now() < deadline) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      failure = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${String(seconds)} s for ${what}`, { cause: failure });
}

/** A row of the API; prices as they are. */
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

  /** Starts it, at the port that it had if it had one, and waits until it answers. */
  async run(): Promise<void> {
    const flags = ["up", "--data", this.folder, "--port", String(this.port), ...this.flags];
    this.output = "";
    const child = spawn(BINARY, flags, { env: { ...process.env, ...this.settings, NO_COLOR: "1" } });
    this.child = child;
    const hear = (text: Buffer): void => {
      this.output += text.toString();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("error", (error) => {
      this.output += String(error);
    });
    this.port = await until(`${BINARY} to listen`, () => {
      if (child.exitCode !== null) throw new Error(this.output);
      return Promise.resolve(Number(/listening url="?http:\/\/127\.0\.0\.1:(\d+)/.exec(this.output)?.[1]) || undefined);
    });
    await until("the pipeline to have caught up", async () => (await fetch(`${this.url}/ready`)).ok, 150);
  }

  /** Kills it, as a failure of the machine would. */
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
    const answer = await fetch(`${this.url}${path}`);
    if (!answer.ok) throw new Error(`${path}: ${String(answer.status)} ${await answer.text()}`);
    return answer.text();
  }

  /** All closed candles from this time on, oldest first. */
  async candles(symbol: string, interval: string, from = 0): Promise<Row[]> {
    const rows: Row[] = [];
    for (;;) {
      const last = rows.at(-1);
      const start = last === undefined ? from * 1000 : Date.parse(last.window_start) + 1;
      const answer = await fetch(
        `${this.url}/api/v1/historical/${symbol}?interval=${interval}&order_by=asc&limit=1000&start_time=${String(start)}`,
      );
      if (answer.status === 404) return rows;
      const page = (await answer.json()) as Row[];
      rows.push(...page);
      if (page.length < 1000) return rows;
    }
  }
}

/** What part of a core a page takes over so many seconds. */
export async function load(page: Page, seconds: number): Promise<{ scripts: number; all: number }> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const figures = async (): Promise<Record<string, number>> => {
    const { metrics } = await session.send("Performance.getMetrics");
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  const before = await figures();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = await figures();
  const since = (name: string): number => (after[name] ?? 0) - (before[name] ?? 0);
  await session.detach();
  return { scripts: since("ScriptDuration") / since("Timestamp"), all: since("TaskDuration") / since("Timestamp") };
}

/** A way to a program that can be cut and mended, as when a machine sleeps or a network fails. */
export class Way {
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((near) => {
    const far = connect(this.to, "127.0.0.1");
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      this.sockets.add(socket);
      socket.pipe(other);
      // A socket that fails is closed next, and its other end with it.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  });
  private port = 0;

  constructor(private readonly to: number) {}

  get url(): string {
    return `http://127.0.0.1:${String(this.port)}`;
  }

  /** At the port that it had if it had one. */
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
