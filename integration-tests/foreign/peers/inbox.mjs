// The events that a session has received.
export class Inbox {
  #events = [];
  #arrived = () => {};

  // `event` has a `kind`, the name of its subscription, and a `number`.
  add(event) {
    this.#events.push(event);
    this.#arrived();
  }

  // Waits for this many events, and returns them ordered by kind and number.
  async take(count) {
    while (this.#events.length < count) {
      await new Promise((resolve) => {
        this.#arrived = resolve;
      });
    }
    return this.#events
      .splice(0, count)
      .sort((one, other) => (one.kind < other.kind ? -1 : one.kind > other.kind ? 1 : one.number - other.number));
  }
}
