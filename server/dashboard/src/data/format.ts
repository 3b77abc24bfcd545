/** Numbers and times as text. */

const GROUPED = new Map<string, Intl.NumberFormat>();

function grouped(min: number, max: number): Intl.NumberFormat {
  const key = `${String(min)}-${String(max)}`;
  let format = GROUPED.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat("en-US", { minimumFractionDigits: min, maximumFractionDigits: max });
    GROUPED.set(key, format);
  }
  return format;
}

/** The number of decimals of a price of this size. */
export function decimals(price: number): number {
  const size = Math.abs(price);
  if (!Number.isFinite(size) || size === 0) return 2;
  if (size >= 1000) return 2;
  if (size >= 1) return 4;
  // Five significant digits: 0.16343, 0.000012345.
  return Math.min(10, 4 - Math.floor(Math.log10(size)));
}

/** A price with the decimals of its size, or with this number of decimals. */
export function price(value: number | undefined, digits?: number): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  const count = digits ?? decimals(value);
  return grouped(count, count).format(value);
}

/** A percentage with its sign. */
export function percent(value: number | undefined, digits = 2): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  const sign = Number(text) === 0 ? "" : value > 0 ? "+" : "−";
  return `${sign}${text} %`;
}

/** A number with this number of decimals, and with its sign if negative. */
export function signed(value: number | undefined, digits = 2): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  return Number(text) !== 0 && value < 0 ? `−${text}` : text;
}

const UNITS: readonly (readonly [number, string])[] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
];

/** A volume in four digits and a unit. */
export function compact(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  for (const [size, unit] of UNITS) {
    if (Math.abs(value) >= size) return `${(value / size).toFixed(2)} ${unit}`;
  }
  return Math.abs(value) >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(2);
}

/** A length of time, in its largest unit. */
export function duration(seconds: number): string {
  const whole = Math.max(0, seconds);
  if (whole < 10) return `${whole.toFixed(1)} s`;
  if (whole < 120) return `${whole.toFixed(0)} s`;
  if (whole < 7200) return `${(whole / 60).toFixed(0)} min`;
  if (whole < 172_800) return `${(whole / 3600).toFixed(0)} h`;
  return `${(whole / 86_400).toFixed(0)} d`;
}

/** The time zone of the page. */
export type Zone = "UTC" | "local";

const TIMES = new Map<string, Intl.DateTimeFormat>();

function time(zone: Zone, name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${name}`;
  let format = TIMES.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-GB", { ...options, hourCycle: "h23", ...(zone === "UTC" ? { timeZone: "UTC" } : {}) });
    TIMES.set(key, format);
  }
  return format;
}

/** A time of day: `05:30`. */
export function clock(seconds: number, zone: Zone): string {
  return time(zone, "clock", { hour: "2-digit", minute: "2-digit" }).format(seconds * 1000);
}

/** A date: `16 Nov`. */
export function day(seconds: number, zone: Zone): string {
  return time(zone, "day", { day: "numeric", month: "short" }).format(seconds * 1000);
}

/** A year: `2025`. */
export function year(seconds: number, zone: Zone): string {
  return time(zone, "year", { year: "numeric" }).format(seconds * 1000);
}

/** A date and time: `16 Nov 05:30`. */
export function moment(seconds: number, zone: Zone): string {
  return `${day(seconds, zone)} ${clock(seconds, zone)}`;
}
