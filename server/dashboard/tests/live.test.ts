import { afterEach, describe, expect, it, vi } from "vitest";
import { connect } from "./fixtures";

/** A connection on a clock that the test moves. */
function start(random?: () => number) {
  vi.useFakeTimers();
  return connect(random);
}

describe("a connection", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("waits longer after each failure, up to 15 seconds", () => {
    const { live, sockets } = start(() => 1);
    const waits: number[] = [];
    live.changes.on((change) => {
      if (change.state === "waiting") waits.push(change.until - Date.now());
    });
    live.start();
    for (let attempt = 0; attempt < 8; attempt += 1) {
      sockets.at(-1)?.close();
      vi.advanceTimersByTime(15_001);
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  });

  it("waits longer after each connection that is dropped at once", () => {
    const { live, sockets } = start(() => 1);
    const waits: number[] = [];
    live.changes.on((change) => {
      if (change.state === "waiting") waits.push(change.until - Date.now());
    });
    live.start();
    const serve = (seconds: number): void => {
      sockets.at(-1)?.open();
      vi.advanceTimersByTime(seconds * 1000);
      sockets.at(-1)?.send({ type: "keepalive" });
      sockets.at(-1)?.close();
      vi.advanceTimersByTime(15_001);
    };
    for (const seconds of [1, 1, 1, 20, 1]) serve(seconds);
    expect(waits).toEqual([500, 1000, 2000, 500, 1000]);
  });

  it("is reopened at once after a silence longer than the keepalive", () => {
    const { live, sockets } = start();
    live.start();
    live.setKeepalive(30_000);
    sockets[0]?.open();
    vi.advanceTimersByTime(40_000);
    sockets[0]?.send({ type: "keepalive" });
    vi.advanceTimersByTime(40_000);
    expect([sockets.length, live.connection.state]).toEqual([1, "live"]);
    vi.advanceTimersByTime(6000);
    expect(sockets.length).toBe(2);
  });

  it("stays open in a quiet market with a keepalive of a minute", () => {
    const { live, sockets } = start();
    live.start();
    sockets[0]?.open();
    live.setKeepalive(60_000);
    for (let minute = 0; minute < 60; minute += 1) {
      vi.advanceTimersByTime(61_000);
      sockets[0]?.send({ type: "keepalive" });
    }
    expect([sockets.length, live.connection.state]).toEqual([1, "live"]);
    vi.advanceTimersByTime(76_000);
    expect(sockets.length).toBe(2);
  });

  it("stays open in silence until the keepalive is known, and is judged by it then", () => {
    const { live, sockets } = start();
    live.start();
    sockets[0]?.open();
    vi.advanceTimersByTime(600_000);
    expect([sockets.length, live.connection.state]).toEqual([1, "live"]);
    live.setKeepalive(30_000);
    vi.advanceTimersByTime(1);
    expect(sockets.length).toBe(2);
  });

  it("stays open with a keepalive longer than a timer can wait", () => {
    const { live, sockets } = start();
    live.start();
    live.setKeepalive(Number.MAX_SAFE_INTEGER);
    sockets[0]?.open();
    vi.advanceTimersByTime(86_400_000);
    expect([sockets.length, live.connection.state]).toEqual([1, "live"]);
  });

  it("is tried again if it does not open within half a minute", () => {
    const { live, sockets } = start();
    live.start();
    vi.advanceTimersByTime(29_000);
    expect(sockets.length).toBe(1);
    vi.advanceTimersByTime(2000);
    expect(sockets.length).toBe(2);
  });

  it("is checked after a sleep in which no timer ran", () => {
    const { live, sockets } = start();
    live.start();
    live.setKeepalive(30_000);
    sockets[0]?.open();
    live.check();
    expect(sockets.length).toBe(1);
    vi.setSystemTime(Date.now() + 3_600_000);
    live.check();
    vi.advanceTimersByTime(1000);
    expect(sockets.length).toBe(2);
  });
});
