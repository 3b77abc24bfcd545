import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../src/data/api";
import { checkExport, exportFile, openExport } from "../src/data/export";

const START = 1_763_271_000;
const KEY = "0123456789abcdef";
const FILE = exportFile("BTC", "1m", { from: START, to: START + 9_999 * 60 });

let server: Server;
/** The handler of requests, which a test sets. */
let handle: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  server = createServer((request, response) => {
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const realFetch = fetch;
  vi.stubGlobal("fetch", (path: string, options: RequestInit) => realFetch(`http://127.0.0.1:${String(port)}${path}`, options));
  vi.stubGlobal("sessionStorage", { getItem: () => KEY });
});

afterEach(() => {
  vi.unstubAllGlobals();
  server.closeAllConnections();
  server.close();
});

function line(number: number): string {
  return `BTC,${String(START + number * 60)},${"0123456789".repeat(15)}\n`;
}

describe("an exported file", () => {
  it("holds the windows that start within its range, both ends included", () => {
    expect(FILE.path).toBe(
      `/api/v1/historical/BTC/export?interval=1m&format=csv&order_by=asc&start_time=${String(START)}000&end_time=${String(START + 600_000)}000`,
    );
    expect(FILE.name).toBe("BTC-1m-20251116T0530Z-20251123T0410Z.csv");
    // No window of five minutes starts at 05:31 or at 05:44.
    const odd = exportFile("A.B", "5m", { from: START + 60, to: START + 14 * 60 });
    expect(odd.path).toContain(`start_time=${String(START + 300)}000&end_time=${String(START + 900)}000`);
    expect(odd.name).toBe("A.B-5m-20251116T0535Z-20251116T0545Z.csv");
    const one = exportFile("BTC", "1h", { from: START - 1800, to: START - 1800 });
    expect(one.name).toBe("BTC-1h-20251116T0500Z-20251116T0600Z.csv");
  });
});

describe("the reading of an export", () => {
  it("returns thousands of candles, with the key, and reports the progress", async () => {
    const lines = Array.from({ length: 10_000 }, (_, number) => line(number));
    let key: string | undefined;
    handle = (request, response) => {
      key = request.headers.authorization;
      for (const each of lines) response.write(each);
      response.end();
    };
    const progress: number[] = [];
    const bytes = await openExport(FILE, new AbortController().signal, (count) => progress.push(count));
    const text = await new Response(bytes).text();
    expect(text).toBe(lines.join(""));
    expect(key).toBe(`Bearer ${KEY}`);
    expect(progress.at(-1)).toBe(text.length);
    expect(progress).toEqual([...progress].sort((one, other) => one - other));
  });

  it("stops at an abort, and closes the connection", async () => {
    let closed: Promise<unknown> = Promise.resolve();
    handle = (_, response) => {
      closed = new Promise((resolve) => response.on("close", resolve));
      let number = 0;
      const writeMore = (): void => {
        while (response.write(line(number))) number += 1;
      };
      response.on("drain", writeMore);
      writeMore();
    };
    const running = new AbortController();
    const bytes = await openExport(FILE, running.signal, () => undefined);
    const reader = bytes.getReader();
    await reader.read();
    running.abort();
    await expect((async () => {
      while (!(await reader.read()).done);
    })()).rejects.toThrow();
    await closed;
  });

  it("fails if the server breaks off", async () => {
    handle = (_, response) => {
      response.write(line(0));
      response.write(line(1), () => response.destroy());
    };
    const bytes = await openExport(FILE, new AbortController().signal, () => undefined);
    await expect(new Response(bytes).text()).rejects.toThrow();
  });

  it("fails with the server's reason before anything is read", async () => {
    handle = ({ method }, response) => {
      response.writeHead(503, { "Content-Type": "application/problem+json" });
      response.end(method === "HEAD" ? "" : JSON.stringify({ detail: "8 exports are under way" }));
    };
    const { signal } = new AbortController();
    await expect(openExport(FILE, signal, () => undefined)).rejects.toThrow(new ApiError(503, "8 exports are under way"));
    await expect(checkExport(FILE, signal)).rejects.toThrow(new ApiError(503, "the server responded with status 503"));
  });
});
