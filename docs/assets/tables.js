// A table that is wider than the window scrolls in a box of its own: the keyboard must reach it.
(() => {
  const mark = () => {
    for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) {
      const scrolls = box.scrollWidth > box.clientWidth;
      box.toggleAttribute("tabindex", scrolls);
      if (scrolls) box.tabIndex = 0;
    }
  };
  const watch = new ResizeObserver(mark);
  window.addEventListener("load", () => {
    // The theme puts the boxes around the tables by itself, sooner or later.
    new MutationObserver(mark).observe(document.body, { childList: true, subtree: true });
    watch.observe(document.body);
    mark();
  });
})();
