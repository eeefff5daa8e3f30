// A browser starts no worker for a page that was opened from disk. Search is a worker, so a hidden frame stands in for it there.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      const inside = frame.contentWindow
      // A worker may read further scripts, one after the other; a frame reads them as elements.
      inside.importScripts = (...addresses) =>
        addresses.reduce((before, next) => before.then(() => new Promise((done, failed) => {
          const script = inside.document.createElement("script")
          script.src = next
          script.onload = done
          script.onerror = failed
          inside.document.body.append(script)
        })), Promise.resolve())
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
      this.frame = frame
      this.ready = inside.importScripts(new URL(address, location.href).href)
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })))
    }

    set onmessage(listener) {
      this.addEventListener("message", listener)
    }

    terminate() {
      this.frame.remove()
    }
  }
}
