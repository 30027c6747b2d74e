/** What styles and mixes are called. */

const MOST_NAMED = 3;

/** The title, or what can be made of the name. */
export const titleOf = (style) => style.title || style.name.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());

/** Of the styles of a mix, the greatest share first. */
export function titleOfMix(styles) {
  const named = styles.slice(0, MOST_NAMED).map(titleOf).join(" + ");
  return styles.length > MOST_NAMED ? `${named} + ${styles.length - MOST_NAMED} more` : named;
}

/** As a part of a file's name. */
export const fileNameOf = (style) => style.file ?? style.name;
