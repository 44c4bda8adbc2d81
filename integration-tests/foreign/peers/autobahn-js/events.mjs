// Autobahn|JS publishes and subscribes: patterns, lists of receivers, retained events, the history.
import { connect } from "./connection.mjs";

const connection = connect({ max_retries: 0 });
connection.onopen = async (session) => {
  const came = [];
  let arrived = () => {};
  const subscribe = (kind, topic, options) =>
    session.subscribe(
      topic,
      ([number], _kwargs, details) => {
        came.push({ kind, number, retained: details.retained === true });
        arrived();
      },
      options,
    );
  const publish = (topic, number, options) =>
    session.publish(topic, [number], {}, { acknowledge: true, exclude_me: false, ...options });
  const take = async (count) => {
    while (came.length < count) {
      await new Promise((resolve) => {
        arrived = resolve;
      });
    }
    return came.splice(0, count).sort((one, other) => (one.kind < other.kind ? -1 : one.kind > other.kind ? 1 : one.number - other.number));
  };

  await subscribe("exact", "com.events.a");
  await subscribe("prefix", "com.events.", { match: "prefix" });
  await subscribe("wildcard", "com..a", { match: "wildcard" });
  await publish("com.events.a", 1);
  console.log("Matches:", ...(await take(3)).map(({ kind, number }) => `${kind} ${number}`));
  await publish("com.events.b", 2, { eligible: [session.id] });
  await publish("com.events.b", 3, { exclude: [session.id] });
  await publish("com.events.b", 4);
  console.log("Received:", ...(await take(2)).map(({ number }) => number));
  await publish("com.kept.x", 5, { retain: true });
  await subscribe("kept", "com.kept.x", { get_retained: true });
  console.log("Retained:", ...(await take(1)).map(({ number, retained }) => `${number} ${retained ? "True" : "False"}`));
  const pattern = await session.call("wamp.subscription.lookup", ["com.events.", { match: "prefix" }]);
  const history = await session.call("wamp.subscription.get_events", [pattern]);
  console.log("History:", ...history.args.map((event) => event.args[0]));
  process.exitCode = 0;
  connection.close();
};
connection.onclose = () => true;
connection.open();
