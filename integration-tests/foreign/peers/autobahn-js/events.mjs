// Autobahn|JS publishes and subscribes: patterns, lists of receivers, retained events, the history.
import { Inbox } from "../inbox.mjs";
import { connect } from "./connection.mjs";

const connection = connect({ max_retries: 0 });
connection.onopen = async (session) => {
  const inbox = new Inbox();
  const subscribe = (kind, topic, options) =>
    session.subscribe(
      topic,
      ([number], _kwargs, details) => {
        inbox.add({ kind, number, retained: details.retained === true });
      },
      options,
    );
  const publish = (topic, number, options) =>
    session.publish(topic, [number], {}, { acknowledge: true, exclude_me: false, ...options });

  await subscribe("exact", "com.events.a");
  await subscribe("prefix", "com.events.", { match: "prefix" });
  await subscribe("wildcard", "com..a", { match: "wildcard" });
  await publish("com.events.a", 1);
  console.log("Matches:", ...(await inbox.take(3)).map(({ kind, number }) => `${kind} ${number}`));
  await publish("com.events.b", 2, { eligible: [session.id] });
  await publish("com.events.b", 3, { exclude: [session.id] });
  await publish("com.events.b", 4);
  console.log("Received:", ...(await inbox.take(2)).map(({ number }) => number));
  await publish("com.kept.x", 5, { retain: true });
  await subscribe("kept", "com.kept.x", { get_retained: true });
  console.log("Retained:", ...(await inbox.take(1)).map(({ number, retained }) => `${number} ${retained ? "True" : "False"}`));
  const pattern = await session.call("wamp.subscription.lookup", ["com.events.", { match: "prefix" }]);
  const history = await session.call("wamp.subscription.get_events", [pattern]);
  console.log("History:", ...history.args.map((event) => event.args[0]));
  process.exitCode = 0;
  connection.close();
};
connection.onclose = () => true;
connection.open();
