// What is wrong with the page that is open: parts that stick out, text that cannot be read (WCAG
// 2.2, 1.4.3: contrast 4.5, for large text 3), and controls without a name. Gives a list of words.
(() => {
  const wrong = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    // What scrolls for itself is not what sticks out.
    const scrolls = (node) => node && (getComputedStyle(node).overflowX !== "visible" || scrolls(node.parentElement));
    const wide = [...document.querySelectorAll("body *")]
      .filter((node) => !scrolls(node.parentElement))
      .filter((node) => node.getBoundingClientRect().right > root.clientWidth + 1)
      .map((node) => node.outerHTML.slice(0, 120));
    wrong.push(`wider than the window by ${root.scrollWidth - root.clientWidth}: ${wide.slice(0, 3)}`);
  }
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not exactly one h1");

  // Colours as the browser paints them: drawn onto one pixel and read back.
  const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = pixel.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) =>
    [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
  const background = (node) => {
    if (!node) return rgba("Canvas");
    const own = rgba(getComputedStyle(node).backgroundColor);
    return own[3] === 1 ? own : over(own, background(node.parentElement));
  };
  const luminance = ([r, g, b]) => {
    const part = (value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility() || node.closest(".unseen, option")) continue;
    const style = getComputedStyle(node);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    const behind = background(node);
    const found = ratio(over(rgba(style.color), behind), behind);
    if (found < needed) wrong.push(`contrast ${found.toFixed(2)}: ${text.data.trim().slice(0, 40)}`);
  }
  // Shapes carry meaning too (1.4.11): 3 to 1.
  for (const glyph of document.querySelectorAll(".glyph")) {
    if (!glyph.checkVisibility({ visibilityProperty: true })) continue;
    const found = ratio(rgba(getComputedStyle(glyph).color), background(glyph.parentElement));
    if (found < 3) wrong.push(`contrast of a shape ${found.toFixed(2)}: ${glyph.parentElement.className}`);
  }
  for (const node of document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea")) {
    const name = node.ariaLabel || node.textContent.trim() || node.labels?.[0]?.textContent;
    if (!name) wrong.push(`no name: ${node.outerHTML.slice(0, 120)}`);
  }
  return wrong;
})()
