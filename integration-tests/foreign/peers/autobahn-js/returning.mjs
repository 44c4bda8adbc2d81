// Autobahn|JS that connects again: prints a line each time it has joined.
import { connect } from "./connection.mjs";

const connection = connect({ max_retries: -1, initial_retry_delay: 0.2, retry_delay_growth: 1 });
connection.onopen = () => console.log("Joined");
connection.onclose = (_reason, { will_retry }) => {
  if (!will_retry) console.log("Stays away");
};
connection.open();
