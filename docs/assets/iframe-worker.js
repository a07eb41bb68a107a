// A page from a disk (file:) may start no worker, and search runs in one. This stands in for it: the
// script runs in a hidden frame of the page's own origin instead. Served pages are left alone.
(() => {
  if (location.protocol !== "file:") return;

  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = this.onerror = null;
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.title = "search";
      document.body.append(this.frame);
      this.inner = this.frame.contentWindow;
      this.hear = (event) => {
        if (event.source !== this.inner) return;
        const message = new MessageEvent("message", { data: event.data });
        this.dispatchEvent(message);
        if (this.onmessage) this.onmessage(message);
      };
      window.addEventListener("message", this.hear);
      this.ready = this.start(new URL(url, document.baseURI).href);
    }

    async start(url) {
      // A worker's own postMessage takes no target, and it loads further scripts by itself.
      this.inner.postMessage = (data) => this.inner.parent.dispatchEvent(
        new MessageEvent("message", { data, source: this.inner }));
      this.inner.importScripts = (...urls) => urls.reduce(
        (before, one) => before.then(() => this.load(one)), Promise.resolve());
      await this.load(url);
    }

    load(url) {
      return new Promise((loaded, failed) => {
        const script = this.inner.document.createElement("script");
        script.src = url;
        script.onload = loaded;
        script.onerror = () => failed(new Error(`cannot load ${url}`));
        this.inner.document.body.append(script);
      });
    }

    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      window.removeEventListener("message", this.hear);
      this.frame.remove();
    }
  }

  window.Worker = FrameWorker;
})();
