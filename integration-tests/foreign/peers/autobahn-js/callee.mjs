// Autobahn|JS callee: answers n with progress 0..n-1, each followed by a nod (a line of stdin), then n.
import { args, readNods } from "../arguments.mjs";
import { connect } from "./connection.mjs";

const connection = connect({ max_retries: 0 });
connection.onclose = () => process.exit();

connection.onopen = async (session) => {
  const nod = readNods(() => connection.close());

  async function longop([n], _kwargs, { progress }) {
    for (let i = 0; i < n; i++) {
      progress([i]);
      await nod();
    }
    return n;
  }

  await session.register(args.procedure, longop);
  console.log("Registered");
};

connection.open();
