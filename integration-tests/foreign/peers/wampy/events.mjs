// wampy.js publishes and subscribes: patterns, lists of receivers, retained events, the history.
import { Inbox } from "../inbox.mjs";
import { connect } from "./connection.mjs";

const session = await connect({ autoReconnect: false });
// The library cannot ask for its own events: it leaves out an option that is false.
const publisher = await connect({ autoReconnect: false });
const own = session.getSessionId();
const inbox = new Inbox();
const subscribe = (kind, topic, options) =>
  session.subscribe(
    topic,
    ({ argsList, details }) => {
      inbox.add({ kind, number: argsList[0], retained: details.retained === true });
    },
    options,
  );
const publish = (topic, number, options) => publisher.publish(topic, [number], options);

await subscribe("exact", "com.events.a");
// The library refuses a prefix that ends with a dot.
await subscribe("prefix", "com.events", { match: "prefix" });
await subscribe("wildcard", "com..a", { match: "wildcard" });
await publish("com.events.a", 1);
console.log("Matches:", ...(await inbox.take(3)).map(({ kind, number }) => `${kind} ${number}`));
await publish("com.events.b", 2, { eligible: [own] });
await publish("com.events.b", 3, { exclude: [own] });
await publish("com.events.b", 4);
console.log("Received:", ...(await inbox.take(2)).map(({ number }) => number));
// The library does not send `retain`, so the test itself has published this event.
await subscribe("kept", "com.kept.x", { get_retained: true });
console.log("Retained:", ...(await inbox.take(1)).map(({ number, retained }) => `${number} ${retained ? "True" : "False"}`));
const lookup = await session.call("wamp.subscription.lookup", ["com.events.", { match: "prefix" }]);
const history = await session.call("wamp.subscription.get_events", lookup.argsList);
console.log("History:", ...history.argsList.map((event) => event.args[0]));
process.exitCode = 0;
await publisher.disconnect();
await session.disconnect();
