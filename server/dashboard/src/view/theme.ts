/** The colours of the style sheet, for drawings on a canvas. */

export interface Theme {
  readonly panel: string;
  readonly grid: string;
  readonly line: string;
  readonly text: string;
  readonly soft: string;
  readonly accent: string;
  readonly up: string;
  readonly down: string;
  readonly upVolume: string;
  readonly downVolume: string;
  readonly raised: string;
  readonly warn: string;
  readonly averages: readonly string[];
}

const DARK = matchMedia("(prefers-color-scheme: dark)");

export function readTheme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    panel: colour("panel"),
    grid: colour("grid"),
    line: colour("line"),
    text: colour("text"),
    soft: colour("soft"),
    accent: colour("accent"),
    up: colour("up"),
    down: colour("down"),
    upVolume: colour("up-volume"),
    downVolume: colour("down-volume"),
    raised: colour("raised"),
    warn: colour("warn"),
    averages: [1, 2, 3, 4].map((number) => colour(`average-${String(number)}`)),
  };
}

/** Calls the listener when the system changes from dark to light or back. */
export function onThemeChange(listener: () => void): void {
  DARK.addEventListener("change", listener);
}
