import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { server } from "../src/data/api";

function respondWith(body: string, status = 200, headers: Record<string, string> = {}): void {
  vi.stubGlobal("fetch", vi.fn(() => Promise.resolve(new Response(body, { status, headers }))));
}

function failWith(status: number, code: string, headers: Record<string, string> = {}): void {
  respondWith(JSON.stringify({ status, code, detail: `it is ${code}` }), status, headers);
}

describe("the API", () => {
  beforeEach(() => {
    vi.stubGlobal("sessionStorage", { getItem: () => null });
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("has no candles of a known symbol without any, and an error for an unknown one", async () => {
    failWith(404, "no_data");
    expect(await server.candles("BTC", "1m", {}, "newest")).toEqual({ candles: [], hasMore: false });
    failWith(404, "unknown_symbol");
    await expect(server.candles("NOPE", "1m", {}, "newest")).rejects.toMatchObject({ status: 404, code: "unknown_symbol", isTransient: false });
  });

  it("passes on Retry-After", async () => {
    failWith(429, "rate_limited", { "Retry-After": "7" });
    await expect(server.symbols()).rejects.toMatchObject({ status: 429, message: "it is rate_limited", retryAfter: 7, isTransient: true });
    failWith(503, "unavailable");
    await expect(server.symbols()).rejects.toMatchObject({ retryAfter: 0, isTransient: true });
  });

  it("counts a response that is cut off or missing as no response", async () => {
    respondWith('{"symbols": [');
    await expect(server.symbols()).rejects.toMatchObject({ status: 0, isTransient: true });
    vi.stubGlobal("fetch", vi.fn(() => Promise.reject(new TypeError("failed to fetch"))));
    await expect(server.symbols()).rejects.toMatchObject({ status: 0, message: "the server does not respond" });
  });

  it("distinguishes a traded volume from a rolling one", async () => {
    const row = { window_start: "2025-11-16T05:30:00Z", open_price: 1, high_price: 1, low_price: 1, close_price: 1, volume_sum: 5, trade_count: 1, revision: 0 };
    respondWith(JSON.stringify([{ ...row, vwap: 1 }, { ...row, vwap: null }]));
    const { candles } = await server.candles("BTC", "1m", {}, "oldest");
    expect(candles.map(({ isTraded }) => isTraded)).toEqual([true, false]);
  });
});
