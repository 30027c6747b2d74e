/** What styles and mixes are called. */

const MOST_NAMED = 3;

/** The title, or what can be made of the name. */
export const titleOf = (style) => style.title || style.name.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());

/** The styles, each with a title of its own: where several share one, the preset or else the name is added to it. */
export function toldApart(styles) {
  return styles.map((style) => {
    const namesakes = styles.filter((other) => titleOf(other) === titleOf(style));
    if (namesakes.length === 1) return style;
    const same = namesakes.filter((other) => other.preset === style.preset);
    return { ...style, title: `${titleOf(style)} (${same.length === 1 ? style.preset : style.name})` };
  });
}

/** Of the styles of a mix, the greatest share first. */
export function titleOfMix(styles) {
  const named = styles.slice(0, MOST_NAMED).map(titleOf).join(" + ");
  return styles.length > MOST_NAMED ? `${named} + ${styles.length - MOST_NAMED} more` : named;
}

/** As a part of a file's name. */
export const fileNameOf = (style) => style.file ?? style.name;
