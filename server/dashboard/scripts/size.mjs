// Prints the compressed size of the page, and fails above the limit.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const MAX_BYTES = 250 * 1024;
const [folder = "dist"] = process.argv.slice(2);

let total = 0;
for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const bytes = gzipSync(readFileSync(path)).length;
  total += bytes;
  console.log(`${(bytes / 1024).toFixed(1).padStart(8)} KB  ${entry.name}`);
}
console.log(`${(total / 1024).toFixed(1).padStart(8)} KB  in all, with gzip; ${String(MAX_BYTES / 1024)} KB is the limit`);
if (total > MAX_BYTES) process.exit(1);
